package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// machine is where it was measured, and with which programs.
func machine(s *settings) string {
	virtual := ""
	if hasFlag("hypervisor") {
		virtual = ", a virtual machine"
	}
	return fmt.Sprintf("%s, %d cores%s, %s, %s/%s; server on core %s, client on core %d; %s", cpuName(), runtime.NumCPU(), virtual,
		kernel(), runtime.GOOS, runtime.GOARCH, strings.Trim(fmt.Sprint(s.serverCores), "[]"), s.clientCore, strings.Join(versions(s), ", "))
}

// cpuLine is a line of the first processor in /proc/cpuinfo, "" without one.
func cpuLine(key string) string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func cpuName() string {
	if n := cpuLine("model name"); n != "" {
		return n
	}
	return "unknown processor"
}

func hasFlag(f string) bool { return slices.Contains(strings.Fields(cpuLine("flags")), f) }

var versionNumber = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// versions are those of the programs that are there.
func versions(s *settings) []string {
	all := []string{runtime.Version()}
	for _, p := range [][]string{{"gdnsd", "gdnsd", "-V"}, {"NSD", "nsd", "-v"}, {"Knot DNS", "knotd", "--version"}, {"PowerDNS", "pdns_server", "--version"}} {
		path, ok := "", false
		for _, c := range []string{p[1], "/usr/sbin/" + p[1]} {
			if f, err := exec.LookPath(c); err == nil {
				path, ok = f, true
			}
		}
		if !ok {
			continue
		}
		out, _ := exec.Command(path, p[2]).CombinedOutput() // gdnsd says it with an error
		v := p[0] + " " + programVersion(out)
		if bytes.Contains(out, []byte("--disable-recvmmsg")) {
			v += " (built without recvmmsg)"
		}
		all = append(all, v)
	}
	if s.coredns != "" {
		all = append(all, "CoreDNS "+corednsVersion())
	}
	return all
}

// programVersion finds the version in what a program says of itself: the first
// number with dots in a line that names a version or the program.
func programVersion(out []byte) string {
	for l := range bytes.Lines(out) {
		if low := bytes.ToLower(l); bytes.Contains(low, []byte("version")) || bytes.Contains(low, []byte("dns)")) || bytes.Contains(low, []byte("server ")) {
			if v := versionNumber.Find(l); v != nil {
				return string(v)
			}
		}
	}
	return "of unknown version"
}

// chooseCores gives the server the first core and the client one that shares no
// core with it: two threads of one are not two.
func chooseCores() (server []int, client int) {
	n := runtime.NumCPU()
	if n == 1 {
		return []int{0}, 0
	}
	siblings := map[int]bool{0: true}
	b, _ := os.ReadFile("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
	for _, c := range parseCPUList(string(b)) {
		siblings[c] = true
	}
	for c := 1; c < n; c++ {
		if !siblings[c] {
			return []int{0}, c
		}
	}
	return []int{0}, 1
}

// parseCPUList reads a list as the kernel writes it: 0-3,8.
func parseCPUList(s string) []int {
	var all []int
	for p := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		first, last, isRange := strings.Cut(p, "-")
		a, err := strconv.Atoi(first)
		if err != nil {
			continue
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(last); err != nil {
				continue
			}
		}
		for c := a; c <= b && c < a+4096; c++ {
			all = append(all, c)
		}
	}
	return all
}

// certificate makes the key pair that all servers have.
func (s *settings) certificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: zoneName}, DNSNames: []string{zoneName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	s.cert, s.key = filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	if err := os.WriteFile(s.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
}
