package health

import (
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

func grpcProber(c Check) (probe.Prober, error) {
	t, err := securedWhen(c)
	if err != nil {
		return nil, err
	}
	return probe.NewGRPC(probe.GRPC{TLS: t, Service: c.Ask.(*spec.GRPCCheck).Service, Host: c.Host})
}

func icmpProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.ICMPCheck)
	o := probe.ICMP{Count: a.Count, MaxLoss: a.MaxLoss, MaxRTT: a.MaxRTT, DegradedRTT: a.DegradedRTT}
	if a.DegradedLoss != nil {
		o.WarnLoss, o.DegradedLoss = true, *a.DegradedLoss
	}
	return probe.NewICMP(o)
}

func dnsProber(c Check) (probe.Prober, error) {
	a := c.Ask.(*spec.DNSCheck)
	re, err := expression(a.Expect)
	if err != nil {
		return nil, err
	}
	return probe.NewDNS(probe.DNS{Name: a.Name, Type: a.Record, TCP: a.TCP, RCode: int(a.RCode), Expect: re})
}

func smtpProber(c Check) (probe.Prober, error) {
	t, err := securedWhen(c)
	if err != nil {
		return nil, err
	}
	a := c.Ask.(*spec.SMTPCheck)
	return probe.NewSMTP(probe.SMTP{TLS: t, StartTLS: a.StartTLS, Hello: a.Hello, MailFrom: a.MailFrom, RcptTo: a.RcptTo})
}
