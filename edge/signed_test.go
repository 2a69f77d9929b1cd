package edge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The example of Standard Webhooks' own libraries.
func TestVerifyExample(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v2,x v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if err := verify(h, string(key), []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)); err != nil {
		t.Error(err)
	}
	if verify(h, string(key), []byte(`{"test": 2432232315}`), time.Unix(1614265330, 0)) == nil {
		t.Error("another body has the same signature")
	}
}

func TestSignedNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := loaded(t, options(), one)
		h := NewWebhook(e)
		send := func(id string, at time.Time, key, body string) *httptest.ResponseRecorder {
			stamp := strconv.FormatInt(at.Unix(), 10)
			m := hmac.New(sha256.New, []byte(key))
			fmt.Fprintf(m, "%s.%s.%s", id, stamp, body)
			r := httptest.NewRequest("POST", "/notify", strings.NewReader(body))
			r.Header.Set("X-Elchi-Secret", secret)
			r.Header.Set("webhook-id", id)
			r.Header.Set("webhook-timestamp", stamp)
			r.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		body := `{"records":[` + two + `]}`
		now := time.Now()
		for _, c := range []struct {
			what string
			w    *httptest.ResponseRecorder
			code int
		}{
			{"another key", send("1", now, "another-secret", body), 401},
			{"too old", send("1", now.Add(-tolerance-time.Second), secret, body), 401},
			{"from the future", send("1", now.Add(tolerance+time.Second), secret, body), 401},
			{"no id", send("", now, secret, body), 401},
			{"bad JSON", send("1", now, secret, "{"), 400},
			{"good", send("1", now, secret, body), 200},
		} {
			if c.w.Code != c.code {
				t.Errorf("%s: %d %s", c.what, c.w.Code, c.w.Body)
			}
		}
		if e.size() != 2 {
			t.Errorf("%d records", e.size())
		}
		if w := send("2", now, secret, `{"deletes":[{"name":"b.gslb.elchi","type":"A"}]}`); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := send("1", now, secret, body); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"status":"ok","updated":0,"deleted":0}` || e.size() != 1 {
			t.Errorf("once more: %d %s, %d records", w.Code, w.Body, e.size())
		}
		for i := range 2 * maxIDs {
			h.done.add(fmt.Sprint(i), now)
		}
		if len(h.done.ids) != maxIDs || len(h.done.order) != maxIDs || !h.done.knows(fmt.Sprint(2*maxIDs-1), now) {
			t.Errorf("%d are remembered", len(h.done.ids))
		}
		h.done.add("last", now.Add(2*tolerance))
		if len(h.done.ids) != 1 {
			t.Errorf("%d are remembered for ever", len(h.done.ids))
		}
	})
}
