package hosts

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAddressesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDisk()
		r := newRig(t, k)
		r.world.addrs("h.test. A", "60", "192.0.2.1")
		r.world.addrs("h.test. AAAA", "60", "2001:db8::1")
		r.world.addrs("g.test. A", "60", "192.0.2.2")
		r.names("h.test g.test none.test")
		r.run()
		after(saveGap + time.Second)
		kept, writes := k.state()
		const h = `{"v4":{"addrs":["192.0.2.1"],"ttl":60,"resolved":"2000-01-01T00:00:00Z"},"v6":{"addrs":["2001:db8::1"],"ttl":60,"resolved":"2000-01-01T00:00:00Z"}}`
		if len(kept) != 2 || kept["h.test."] != h || writes > 2 {
			t.Errorf("%d writes: %v", writes, kept)
		}
		after(time.Hour)
		if _, n := k.state(); n != writes {
			t.Errorf("%d writes of what has not changed", n-writes)
		}
		// Changes, at most one write in saveGap; and those before the end.
		for i := range 10 {
			r.world.addrs("h.test. A", "5", []string{"192.0.2.3", "192.0.2.4"}[i%2])
			after(7 * time.Second)
		}
		if _, n := k.state(); n == writes || n-writes > 15 {
			t.Errorf("%d writes of 10 changes", n-writes)
		}
		r.names("h.test")
		r.world.addrs("h.test. A", "60", "192.0.2.9")
		after(6 * time.Second)
		r.stop()
		if kept, _ := k.state(); len(kept) != 1 {
			t.Errorf("%v", kept)
		}

		// The next process, without a network.
		after(time.Hour)
		r = newRig(t, k)
		r.world.set("h.test. A", reply{silent: true})
		r.world.set("h.test. AAAA", reply{silent: true})
		v := r.names("new.test h.test")
		if d := v.Detail(1); text(d.V4.Addrs) != "192.0.2.9" || text(d.V6.Addrs) != "2001:db8::1" ||
			!d.V4.Restored || d.V4.Stale || d.V4.TTL != 30*time.Second || d.V4.Error == "" {
			t.Errorf("%+v", d)
		}
		r.run()
		after(time.Hour)
		r.want(1, "192.0.2.9", "2001:db8::1")
		if d := r.View().Detail(1); !d.V4.Restored || !d.V4.Stale {
			t.Errorf("%+v", d)
		}
		r.gauges(1, 1)
		r.world.addrs("h.test. A", "60", "192.0.2.9")
		after(time.Minute)
		if d := r.View().Detail(1); d.V4.Restored || d.V4.Stale || d.V4.TTL != time.Minute || d.V4.Error != "" {
			t.Errorf("%+v", d)
		}
		r.stop()
	})
}

// A start that has good addresses does not wait for others.
func TestKeptIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDisk()
		k.kept["h.test."] = []byte(`{"v4":{"addrs":["192.0.2.1"],"ttl":60,"resolved":"2030-01-01T00:00:00Z"}}`)
		r := newRig(t, k)
		r.world.fell(server1, true)
		r.names("h.test")
		<-r.Settled()
		r.want(0, "192.0.2.1", "")
		r.run()
		defer r.stop()
		// The clock was wrong when that was written; it is stale all the same.
		after(time.Minute)
		r.gauges(1, 0)
	})
}

func TestUnreadableRecords(t *testing.T) {
	k := newDisk()
	for name, raw := range map[string]string{
		"a.test.": `{`, "b..test.": `{}`, "c.test.": `{"v4":{"addrs":["2001:db8::1"]}}`, "d.test.": `{"v6":{"addrs":["192.0.2.1"]}}`,
		"e.test.": `{"v6":{"addrs":["fe80::1%eth0"]}}`, "f.test.": `{"v4":{"addrs":[""]}}`, "g.test.": `{}`,
		"h.test.": `{"v4":{"addrs":["192.0.2.1","192.0.2.1"],"ttl":99999}}`,
	} {
		k.kept[name] = []byte(raw)
	}
	r := newRig(t, k)
	r.names("a.test c.test d.test e.test f.test g.test h.test")
	for i := range 6 {
		r.want(i, "", "")
	}
	r.want(6, "192.0.2.1", "")
	k.breaks(true)
	if _, err := New(Options{Keeper: k}); !errors.Is(err, errDisk) {
		t.Errorf("a disk that cannot be read is %v", err)
	}
}

func TestDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDisk()
		r := newRig(t, k)
		r.world.addrs("h.test. A", "60", "192.0.2.1")
		k.breaks(true)
		r.names("h.test")
		r.run()
		defer r.stop()
		after(10 * time.Minute)
		if _, writes := k.state(); writes < 10 || writes > 25 {
			t.Errorf("%d writes in 10 minutes on a broken disk", writes)
		}
		r.want(0, "192.0.2.1", "")
		k.breaks(false)
		after(time.Minute)
		if kept, _ := k.state(); len(kept) != 1 {
			t.Errorf("%v", kept)
		}
		if r.log.count("host addresses not kept") != 1 || r.log.count("kept again") != 1 {
			t.Errorf("\n%s", r.log)
		}
	})
}
