package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Each server has the configuration that is best for it on one core, as far as
// its documentation tells: one worker, no rate limit, no logging, no zone
// transfers, data in memory.

func startRhumb(ctx context.Context, s *settings, w wants) (*peer, error) {
	p, err := prepare(s, "rhumb")
	if err != nil {
		return nil, err
	}
	if p.admin, err = freeAddr(); err != nil {
		return nil, err
	}
	secure := ""
	if w.tls {
		secure = fmt.Sprintf(", tls: {listen: [%q], cert: %q, key: %q}", p.tls, s.cert, s.key)
	}
	text := fmt.Sprintf("dns: {listen: [%q]%s}\nadmin: {listen: %q}\nlog: {level: error}\n", p.addr, secure, p.admin)
	if w.steer == "" {
		p.name = "rhumb, zone file"
		zone, err := p.zoneCopy(s, w.names)
		if err != nil {
			return nil, err
		}
		text += fmt.Sprintf("zones: {%s: {file: %q}}\n", zoneName, zone)
	} else {
		if w.world != nil && w.world.path != "" {
			text += fmt.Sprintf("geo: {databases: [%q]}\n", w.world.path)
		}
		text += rhumbServices(w.steer, w.names, w.measured...)
	}
	path, err := p.write("rhumb.yaml", text)
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, s.rhumb, "serve", "-c", path)
	return p.launch(w.names)
}

// zoneCopy is the zone as a file of the peer's own, which a test may change.
func (p *peer) zoneCopy(s *settings, names int) (string, error) {
	zone, err := zoneFile(s, names)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(zone)
	if err != nil {
		return "", err
	}
	return p.write(filepath.Join("zones", zoneName), string(b))
}

// steeredZone is the zone with one record for every name.
func (p *peer) steeredZone(names int, record string) (string, error) {
	path := filepath.Join(p.dir, "zones", zoneName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, writeZone(path, names, func(int) string { return record })
}

func startGdnsd(ctx context.Context, s *settings, w wants) (*peer, error) {
	program, ok := s.lookProgram("gdnsd", "apt-get install gdnsd")
	if !ok {
		return nil, nil
	}
	p, err := prepare(s, "gdnsd")
	if err != nil {
		return nil, err
	}
	plugins, record := gdnsdPlugins(w.steer)
	if w.steer == steerPlace {
		plugins, record = w.world.gdnsd(), "DYNA geoip!g"
	}
	if record != "" {
		_, err = p.steeredZone(w.names, record)
	} else {
		_, err = p.zoneCopy(s, w.names)
	}
	if err != nil {
		return nil, err
	}
	_, err = p.write("config", fmt.Sprintf(`options => {
  listen => { %s => { udp_threads = %d, tcp_threads = %d, tcp_timeout = 300 } }
  run_dir => %q
  state_dir => %q
}
plugins => {
%s}
`, p.addr, len(w.cores), len(w.cores), p.dir+"/run", p.dir+"/state", plugins))
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, program, "-c", p.dir, "start")
	p.ctl = []string{filepath.Join(filepath.Dir(filepath.Dir(program)), "bin", "gdnsdctl"), "-c", p.dir, "reload-zones"}
	return p.launch(w.names)
}

func startNSD(ctx context.Context, s *settings, w wants) (*peer, error) {
	program, ok := s.lookProgram("nsd", "apt-get install nsd")
	if !ok {
		return nil, nil
	}
	p, err := prepare(s, "NSD")
	if err != nil {
		return nil, err
	}
	zone, err := p.zoneCopy(s, w.names)
	if err != nil {
		return nil, err
	}
	secure := ""
	if w.tls {
		secure = fmt.Sprintf("  ip-address: %s@%d\n  tls-port: %d\n  tls-service-key: %q\n  tls-service-pem: %q\n",
			p.tls.Addr(), p.tls.Port(), p.tls.Port(), s.key, s.cert)
	}
	path, err := p.write("nsd.conf", fmt.Sprintf(`server:
  ip-address: %s@%d
%s  server-count: %d
  reuseport: %s
  username: ""
  chroot: ""
  zonesdir: %q
  pidfile: %q
  logfile: %q
  xfrdfile: %q
  zonelistfile: %q
  database: ""
  tcp-count: 200
  tcp-query-count: 0
  tcp-timeout: 300
  rrl-ratelimit: 0
  minimal-responses: yes
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
zone:
  name: %s
  zonefile: %q
`, p.addr.Addr(), p.addr.Port(), secure, len(w.cores), yes(len(w.cores) > 1), p.dir, p.dir+"/nsd.pid", p.dir+"/nsd.log", p.dir+"/nsd.xfrd", p.dir+"/nsd.zones", zoneName, zone))
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, program, "-d", "-c", path)
	return p.launch(w.names)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func startKnot(ctx context.Context, s *settings, w wants) (*peer, error) {
	program, ok := s.lookProgram("knotd", "apt-get install knot")
	if !ok {
		return nil, nil
	}
	p, err := prepare(s, "Knot DNS")
	if err != nil {
		return nil, err
	}
	zone, err := p.zoneCopy(s, w.names)
	if err != nil {
		return nil, err
	}
	module, use := "", ""
	geo, mode := knotGeo(w.steer, w.names)
	if w.steer == steerPlace {
		// Who is in no country gets what the zone has.
		if zone, err = p.steeredZone(w.names, "A "+endpoint(0, 0)); err != nil {
			return nil, err
		}
		geo, mode = w.world.knot(w.names), fmt.Sprintf("geodb\n    geodb-file: %q\n    geodb-key: country/iso_code", w.world.path)
	}
	if geo != "" {
		if found, _ := filepath.Glob("/usr/lib/*/knot/modules-*/geoip.so"); len(found) == 0 {
			s.missing("Knot DNS's geoip module", "apt-get install knot-module-geoip")
			return nil, nil
		}
		file, err := p.write("geo.conf", geo)
		if err != nil {
			return nil, err
		}
		module = fmt.Sprintf("mod-geoip:\n  - id: geo\n    config-file: %q\n    ttl: 30\n    mode: %s\n", file, mode)
		use = "    module: mod-geoip/geo\n"
	}
	path, err := p.write("knot.conf", fmt.Sprintf(`server:
    rundir: %q
    listen: %s@%d
    udp-workers: %d
    tcp-workers: %d
    background-workers: 1
    tcp-idle-timeout: 300
    edns-client-subnet: on
log:
  - target: stderr
    any: error
database:
    storage: %q
%szone:
  - domain: %s
    file: %q
    zonefile-sync: -1
    journal-content: none
%s`, p.dir, p.addr.Addr(), p.addr.Port(), len(w.cores), len(w.cores), p.dir, module, zoneName, zone, use))
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, program, "-c", path)
	return p.launch(w.names)
}

func startPower(ctx context.Context, s *settings, w wants) (*peer, error) {
	program, ok := s.lookProgram("pdns_server", "apt-get install pdns-server pdns-backend-bind")
	if !ok {
		return nil, nil
	}
	p, err := prepare(s, "PowerDNS")
	if err != nil {
		return nil, err
	}
	var zone string
	if record := powerRecord(w.steer); record != "" {
		zone, err = p.steeredZone(w.names, record)
	} else {
		zone, err = p.zoneCopy(s, w.names)
	}
	if err != nil {
		return nil, err
	}
	lua := "no"
	if w.steer != "" {
		lua = "shared" // one state for all: fast, where it is safe
	}
	named, err := p.write("named.conf", fmt.Sprintf("zone %q { type master; file %q; };\n", zoneName, zone))
	if err != nil {
		return nil, err
	}
	_, err = p.write("pdns.conf", fmt.Sprintf(`launch=bind
bind-config=%s
local-address=%s
local-port=%d
receiver-threads=%d
distributor-threads=1
reuseport=%s
cache-ttl=60
max-cache-entries=2000000
max-packet-cache-entries=2000000
enable-lua-records=%s
edns-subnet-processing=no
expand-alias=no
disable-axfr=yes
guardian=no
daemon=no
loglevel=3
security-poll-suffix=
socket-dir=%s
webserver=no
`, named, p.addr.Addr(), p.addr.Port(), len(w.cores), yes(len(w.cores) > 1), lua, p.dir))
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, program, "--config-dir="+p.dir)
	return p.launch(w.names)
}

func startCoreDNS(ctx context.Context, s *settings, w wants) (*peer, error) {
	if s.coredns == "" {
		s.missing("CoreDNS", "It is built with -coredns, which make bench says.")
		return nil, nil
	}
	p, err := prepare(s, "CoreDNS")
	if err != nil {
		return nil, err
	}
	zone, err := p.zoneCopy(s, w.names)
	if err != nil {
		return nil, err
	}
	file := fmt.Sprintf("  file %s {\n    reload 0\n  }\n", zone)
	text := fmt.Sprintf("%s:%d {\n  bind %s\n%s}\n", zoneName, p.addr.Port(), p.addr.Addr(), file)
	if w.tls {
		text += fmt.Sprintf("tls://%s:%d {\n  bind %s\n  tls %s %s\n%s}\n", zoneName, p.tls.Port(), p.tls.Addr(), s.cert, s.key, file)
	}
	path, err := p.write("Corefile", text)
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, s.coredns, "-conf", path, "-quiet")
	return p.launch(w.names)
}

// buildCoreDNS builds CoreDNS with our plugins. It is built each time, since they are
// what may have changed: all but them is in the build cache.
func (s *settings) buildCoreDNS(ctx context.Context) {
	path := filepath.Join(s.dir, "coredns")
	fmt.Fprintln(os.Stderr, "CoreDNS "+corednsVersion()+" is built: the first time this takes minutes")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./cmd/coredns")
	cmd.Dir = "coredns"
	if out, err := cmd.CombinedOutput(); err != nil {
		s.missing("CoreDNS", fmt.Sprintf("%v\n%s", err, tail(string(out), 500)))
		return
	}
	s.coredns = path
}
