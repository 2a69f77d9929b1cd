package gslb

import (
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// TestReadme starts every Corefile of the README.
func TestReadme(t *testing.T) {
	rig.Readme(t, "gslb", 2, map[string]string{
		"db.example.org":              besides,
		"db.test.org":                 strings.ReplaceAll(besides, "example.org", "test.org"),
		"gslb_config.example.org.yml": records,
		"gslb_config.test.org.yml":    strings.ReplaceAll(records, "example.org", "test.org"),
		"location_map.yml":            subnets,
		"healthcheck_profiles.yml":    "healthcheck_profiles: {web: {type: tcp, params: {port: 80}}}\n",
	}, [2]string{`(?m)^(\s+)api_listen_port .*$`, "${1}api_listen_port 0"})
}
