package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
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
	tokenFile string
}

func (f *nodeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.address, "api", cmp.Or(os.Getenv("RHUMB_API"), "http://127.0.0.1:8080"), "address of the node's API; also RHUMB_API")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for the node")
	flags.StringVar(&f.ca, "cacert", "", "PEM file of who signed the node's certificate (default the system's)")
	flags.StringVar(&f.cert, "cert", "", "PEM file of a client certificate")
	flags.StringVar(&f.key, "key", "", "PEM file of its key")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with the secret of a token; else RHUMB_TOKEN is the secret")
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
	var err error
	if o.Token, err = f.token(c.err); err != nil {
		return nil, err
	}
	node, err := api.New(f.address, o)
	if errors.Is(err, api.ErrToken) {
		return nil, misuse{fmt.Errorf("RHUMB_TOKEN, --token-file: %w", err)}
	}
	if err != nil {
		return nil, misuse{fmt.Errorf("--api: %w", err)}
	}
	return node, nil
}

// maxTokenFile is more than any secret takes.
const maxTokenFile = 64 << 10

// token is the secret of the token to state, "" for none. No flag holds it: the
// arguments of a process are there for everybody to read. What is wrong with the
// file and no error goes to warnings.
func (f *nodeFlags) token(warnings io.Writer) (string, error) {
	if f.tokenFile == "" {
		return strings.TrimSpace(os.Getenv("RHUMB_TOKEN")), nil
	}
	file, err := os.Open(f.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	defer file.Close()
	if st, err := file.Stat(); err == nil && st.Mode().IsRegular() && runtime.GOOS != "windows" && st.Mode()&0o044 != 0 {
		fmt.Fprintf(warnings, "warning: --token-file: others can read the secret: chmod go-r %s\n", f.tokenFile)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxTokenFile+1))
	secret := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return "", fmt.Errorf("--token-file: %w", err)
	case len(b) > maxTokenFile:
		return "", fmt.Errorf("--token-file: %s is no file with a secret on one line", f.tokenFile)
	case secret == "":
		return "", fmt.Errorf("--token-file: %s is empty", f.tokenFile)
	}
	return secret, nil
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
	var refused *api.Problem
	switch {
	case err == nil:
		return v, nil
	case ctx.Err() != nil:
		return none, errors.New("interrupted")
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return none, fmt.Errorf("%w; RHUMB_TOKEN or --token-file states one", err)
	case errors.As(err, &away):
		return none, fmt.Errorf("%w; is `rhumb serve` running there? --api names another", err)
	}
	return none, err
}
