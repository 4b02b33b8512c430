//go:build ignore

// Command coredns is CoreDNS with the plugins that kubeadm's Corefile names and
// no others: those for clouds and registries are most of its size. In place of
// the plugin forward it has one that refuses: a sandbox resolves the names of
// its cluster, and whoever asks for another should not wait for an answer.
package main

import (
	"context"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/template"
	"github.com/miekg/dns"
)

func main() {
	plugin.Register("forward", setUp)
	coremain.Run()
}

// setUp skips the Corefile's lines about where to forward to.
func setUp(c *caddy.Controller) error {
	for c.Next() {
		c.RemainingArgs()
		for c.NextBlock() {
			c.RemainingArgs()
		}
	}
	dnsserver.GetConfig(c).AddPlugin(func(plugin.Handler) plugin.Handler { return refusal{} })
	return nil
}

// refusal is the end of the chain of plugins.
type refusal struct{}

func (refusal) Name() string { return "forward" }

func (refusal) ServeDNS(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
	return dns.RcodeRefused, nil
}
