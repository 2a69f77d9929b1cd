package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/pflag"

	"github.com/rhumb-dns/rhumb/api"
)

// nodeFlags say which node is asked, and how.
type nodeFlags struct {
	address   string
	timeout   time.Duration
	ca        string
	cert, key string
}

func (f *nodeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.address, "api", cmp.Or(os.Getenv("RHUMB_API"), "http://127.0.0.1:8080"), "address of the node's API; also RHUMB_API")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the node")
	flags.StringVar(&f.ca, "cacert", "", "PEM file of who signed the node's certificate (default the system's)")
	flags.StringVar(&f.cert, "cert", "", "PEM file of a client certificate")
	flags.StringVar(&f.key, "key", "", "PEM file of its key")
}

// client is the client that the flags describe.
func (c *cli) client() (*api.Client, error) {
	f := &c.node
	o := api.Options{UserAgent: "rhumb/" + release(), Timeout: f.timeout}
	if f.timeout <= 0 {
		return nil, misuse{fmt.Errorf("--timeout %v: longer than nothing", f.timeout)}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, misuse{errors.New("--cert and --key go together")}
	}
	if f.ca != "" || f.cert != "" {
		conf := &tls.Config{MinVersion: tls.VersionTLS12}
		if f.ca != "" {
			pem, err := os.ReadFile(f.ca)
			if err != nil {
				return nil, fmt.Errorf("--cacert: %w", err)
			}
			conf.RootCAs = x509.NewCertPool()
			if !conf.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("--cacert: %s holds no PEM certificate", f.ca)
			}
		}
		if f.cert != "" {
			pair, err := tls.LoadX509KeyPair(f.cert, f.key)
			if err != nil {
				return nil, fmt.Errorf("--cert, --key: %w", err)
			}
			conf.Certificates = []tls.Certificate{pair}
		}
		o.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment}}
	}
	node, err := api.New(f.address, o)
	if err != nil {
		return nil, misuse{fmt.Errorf("--api: %w", err)}
	}
	return node, nil
}

// ask makes one call to the node. An interrupt ends it.
func ask[T any](c *cli, call func(context.Context, *api.Client) (T, error)) (T, error) {
	var none T
	node, err := c.client()
	if err != nil {
		return none, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	v, err := call(ctx, node)
	var away *api.Unreachable
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return none, errors.New("interrupted")
	case errors.As(err, &away):
		return none, fmt.Errorf("%w; is `rhumb serve` running there? --api names another", err)
	}
	return none, err
}
