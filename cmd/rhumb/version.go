package main

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/api"
)

// version is what the linker puts in: -ldflags "-X main.version=v1.2.3".
var version string

// release is version, or what the Go tool knows of a build without it.
var release = sync.OnceValue(func() string {
	if version != "" {
		return version
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := b.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
})

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  takes(),
		RunE: running(func(*cobra.Command, []string) error {
			v := api.Version{
				Version: release(), GoVersion: runtime.Version(),
				Platform: runtime.GOOS + "/" + runtime.GOARCH, GeneratedAt: c.now().UTC().Truncate(time.Second),
			}
			if c.json {
				return c.printJSON(v)
			}
			c.out.line(cell{"rhumb ", plain}, cell{v.Version, bold}, cell{" " + v.GoVersion + " " + v.Platform, dim})
			return nil
		}),
	}
}
