package elchi

import (
	"testing"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// TestReadme starts every Corefile of the README.
func TestReadme(t *testing.T) {
	t.Setenv("NODE_IP", "127.0.0.1")
	rig.Readme(t, "elchi", 4, map[string]string{
		"gslb.example.org.db": "$ORIGIN gslb.example.org.\n@ 60 SOA ns a 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n",
	},
		[2]string{`(?m)^(\s+)webhook.*$`, "${1}webhook 127.0.0.1:0"},
		[2]string{`(https?://)[a-z-]+:\d+`, "${1}127.0.0.1:1"}, // nobody is asked for names
	)
}
