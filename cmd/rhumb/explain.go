package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
)

func (c *cli) explainCommand() *cobra.Command {
	var q api.ExplainQuery
	var offline bool
	var file string
	cmd := &cobra.Command{
		Use:   "explain NAME [TYPE]",
		Short: "How a question is answered now, step by step",
		Long: "Prints every step that leads to an answer: the zone, the service, each endpoint\n" +
			"with its state and who said so, what each filter kept and why, and the answer.\n" +
			"With --offline it reads a configuration and needs no running node; no health is\n" +
			"known then, and every endpoint counts as up.",
		Example: "  rhumb explain www.gslb.example.com\n" +
			"  rhumb explain www.gslb.example.com AAAA --client 192.0.2.1\n" +
			"  rhumb explain www.gslb.example.com --offline -c rhumb.yaml",
		Args: takes("NAME", "[TYPE]"),
		RunE: running(func(_ *cobra.Command, args []string) error {
			q.Name = args[0]
			if len(args) > 1 {
				q.Type = args[1]
			}
			question, err := questionOf(q)
			if err != nil {
				return err
			}
			if !offline && file != "" {
				return misuse{errors.New("-c goes with --offline: a running node has its configuration")}
			}
			var e *api.Explanation
			if offline {
				e, err = explainOffline(question, file)
			} else {
				e, err = ask(c, func(ctx context.Context, n *api.Client) (*api.Explanation, error) { return n.Explain(ctx, q) })
			}
			var p *api.Problem
			if errors.As(err, &p) && p.Status == http.StatusBadRequest {
				return misuse{err}
			}
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(e)
			}
			c.printExplanation(e, q.Subnet, offline)
			return nil
		}),
	}
	cmd.Flags().StringVar(&q.Client, "client", "", "IP address that asks (default 127.0.0.1)")
	cmd.Flags().StringVar(&q.Subnet, "subnet", "", "client subnet that the query carries (RFC 7871), such as 192.0.2.0/24")
	cmd.Flags().BoolVar(&offline, "offline", false, "explain a configuration, without a node")
	configFlag(cmd, &file)
	return cmd
}

// questionOf reads a question from a command line.
func questionOf(q api.ExplainQuery) (rhumb.Question, error) {
	out := rhumb.Question{Name: q.Name, Type: q.Type}
	var err error
	if q.Client != "" {
		if out.Client, err = netip.ParseAddr(q.Client); err != nil {
			return out, misuse{fmt.Errorf("--client: %q is no IP address", q.Client)}
		}
		out.Client = out.Client.Unmap().WithZone("")
	}
	if q.Subnet != "" {
		if out.ECS, err = netip.ParsePrefix(q.Subnet); err != nil || out.ECS.Addr().Is4In6() {
			return out, misuse{fmt.Errorf("--subnet: %q is no network, such as 192.0.2.0/24 or 2001:db8::/56", q.Subnet)}
		}
	}
	return out, nil
}

// explainOffline explains a configuration as if every check passed.
func explainOffline(q rhumb.Question, file string) (*api.Explanation, error) {
	path, err := config(file)
	if err != nil {
		return nil, err
	}
	s, err := load(path)
	if err != nil {
		return nil, err
	}
	// Nobody judges an endpoint without checks, so it is up.
	for _, p := range s.Pools {
		for i := range p.Endpoints {
			p.Endpoints[i].Checks = nil
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
	t, err := engine.Explain(q)
	if errors.Is(err, rhumb.ErrBadQuestion) {
		return nil, misuse{err}
	}
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	e := new(api.Explanation)
	err = json.Unmarshal(b, e)
	for i := range e.Endpoints {
		e.Endpoints[i].Authority = "assumed offline"
	}
	return e, err
}
