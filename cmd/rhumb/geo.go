package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/spec"
)

func (c *cli) geoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "geo",
		Short: "Where clients are: databases, and look-ups",
		Long: "Prints the databases of places that the node uses, how old they are, and why a\n" +
			"file is not used, if it is not.",
		Args: subcommands,
		RunE: running(func(*cobra.Command, []string) error {
			g, err := ask(c, func(ctx context.Context, n *api.Client) (*api.Geo, error) { return n.Geo(ctx) })
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(g)
			}
			c.printGeo(g)
			return nil
		}),
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(c.lookupCommand())
	return cmd
}

func (c *cli) lookupCommand() *cobra.Command {
	var offline bool
	var file string
	cmd := &cobra.Command{
		Use:   "lookup IP",
		Short: "Where an address is taken to be, and who says so",
		Long: "Prints where the node takes an address to be, around which network that holds,\n" +
			"and what each source says of it: the networks of the configuration, then each\n" +
			"database. With --offline it needs no running node: it goes by the configuration\n" +
			"of -c, or without one by the country database that is built in.",
		Example: "  rhumb geo lookup 192.0.2.1\n" +
			"  rhumb geo lookup 2001:db8::1 --offline -c rhumb.yaml",
		Args: takes("IP"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			addr, err := netip.ParseAddr(args[0])
			if err != nil {
				return misuse{fmt.Errorf("%q is no IP address", args[0])}
			}
			if !offline && file != "" {
				return misuse{errors.New("-c goes with --offline: a running node has its configuration")}
			}
			var found *api.GeoLookup
			if offline {
				found, err = lookupOffline(addr, file)
			} else {
				found, err = ask(c, func(ctx context.Context, n *api.Client) (*api.GeoLookup, error) {
					return n.GeoLookup(ctx, addr.String())
				})
			}
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(found)
			}
			c.printLookup(found)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "look up in a configuration, or in what is built in, without a node")
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file, with --offline")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // the flag is there
	return cmd
}

// lookupOffline goes by a configuration, or without one by what is built in.
func lookupOffline(addr netip.Addr, file string) (*api.GeoLookup, error) {
	s := new(spec.Spec)
	if file != "" {
		var err error
		if s, _, err = spec.Load(file, spec.Options{}); err != nil {
			return nil, err
		}
	}
	engine, err := rhumb.New(rhumb.Options{})
	if err != nil {
		return nil, err
	}
	change, err := engine.Prepare(s)
	if err != nil {
		return nil, err
	}
	if err := engine.Commit(change); err != nil {
		return nil, err
	}
	return engine.Locate(addr)
}

func (c *cli) printGeo(g *api.Geo) {
	if !g.Loaded {
		c.out.line(cell{"not loaded", bold}, cell{": no service goes by the client's place; `rhumb geo lookup IP` loads what there is", plain})
	} else {
		c.out.line(cell{count(g.Places, "place"), bold}, cell{fmt.Sprintf(", from %s of the configuration and %s",
			count(g.Networks, "network"), count(len(g.Databases), "database")), plain})
	}
	if len(g.Databases) == 0 {
		return
	}
	now := c.now()
	rows := [][]cell{titles("DATABASE", "TYPE", "BUILT", "LOADED", "NETWORKS")}
	for _, d := range g.Databases {
		entries := ""
		if d.Entries > 0 {
			entries = strconv.Itoa(d.Entries)
		}
		rows = append(rows, []cell{
			{d.File, bold}, {d.Type, plain}, {day(d.Built), plain}, {ago(now, d.Loaded), plain}, {entries, plain},
		})
	}
	c.out.table("  ", true, rows)
	for _, d := range g.Databases {
		if d.Error != "" {
			c.out.line(cell{d.Error + "; what was read before stays", red})
		}
	}
}

// day is the date of a time, "" of none.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

func (c *cli) printLookup(f *api.GeoLookup) {
	if len(f.Sources) == 0 {
		c.out.line(cell{f.Address, bold}, cell{": ", plain}, cell{"nobody knows where this is", yellow}, cell{", nor anything else of " + f.Network, plain})
		return
	}
	c.out.line(cell{f.Address, bold}, cell{" and all of " + f.Network, plain})
	p := &f.Place
	rows := [][]cell{}
	add := func(title, text string) {
		if text != "" {
			rows = append(rows, []cell{{title, dim}, {text, green}})
		}
	}
	region, at := p.Region, coordinates(p.At)
	if region != "" && !slices.ContainsFunc(f.Sources, func(s api.GeoSource) bool { return s.Place.Region != "" }) {
		region += ", by geo.regions"
	}
	if at != "" && !slices.ContainsFunc(f.Sources, func(s api.GeoSource) bool { return len(s.Place.At) > 0 }) {
		at += ", about the middle of the country"
	}
	add("region", region)
	add("continent", named(p.Continent, p.ContinentName))
	add("country", named(p.Country, p.CountryName))
	add("subdivision", p.Subdivision)
	add("city", p.City)
	add("asn", asn(p.ASN))
	add("at", at)
	c.out.table("  ", false, rows)
	fmt.Fprintln(c.out.w)
	rows = [][]cell{titles("SAID BY", "TYPE", "BUILT", "OF", "REGION", "CONTINENT", "COUNTRY", "SUBDIVISION", "CITY", "ASN", "AT")}
	for _, s := range f.Sources {
		by := s.Name
		if s.Kind == "network" {
			by = "geo.networks"
		}
		p := &s.Place
		rows = append(rows, []cell{
			{by, bold},
			{s.Type, plain},
			{day(s.Built), plain},
			{s.Network, plain},
			{p.Region, plain},
			{p.Continent, plain},
			{p.Country, plain},
			{p.Subdivision, plain},
			{p.City, plain},
			{asn(p.ASN), plain},
			{coordinates(p.At), plain},
		})
	}
	c.out.table("", true, rows)
}

// named is a code with what it stands for.
func named(code, name string) string {
	if name == "" {
		return code
	}
	return code + ", " + name
}

func asn(n uint32) string {
	if n == 0 {
		return ""
	}
	return "AS" + strconv.FormatUint(uint64(n), 10)
}

func coordinates(at []float64) string {
	if len(at) != 2 {
		return ""
	}
	return fmt.Sprintf("%.2f, %.2f", at[0], at[1])
}
