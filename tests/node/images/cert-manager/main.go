// cert-manager's controllers, webhook and injector out of its module: that module holds all the work, its programs are
// modules of their own that cannot be fetched. Without the issuers for ACME, Vault and Venafi, which would add the SDKs
// of four clouds, and without the Gateway API.
//
// Flags are those that the chart gives and the chart's defaults; another one is an error.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

var version = "0"

var programs = map[string]func(context.Context, []string) error{
	"controller":      runController,
	"webhook":         runWebhook,
	"cainjector":      runInjector,
	"startupapicheck": runCheck,
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Printf("cert-manager v%s\n", version)
		return
	}
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: %s controller|webhook|cainjector|startupapicheck [flags]\n", filepath.Base(os.Args[0]))
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	logf.InitLogs()
	ctrl.SetLogger(klog.Background())
	ctx = logf.NewContext(ctx, klog.Background(), os.Args[1])
	if err := programs[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// election is what all parts have in common: the flags by which several of one kind agree on one that works.
type election struct {
	enabled   bool
	namespace string
}

func (e *election) addTo(flags *pflag.FlagSet) {
	flags.BoolVar(&e.enabled, "leader-elect", true, "work only while holding the lease")
	flags.StringVar(&e.namespace, "leader-election-namespace", "kube-system", "where the lease is")
}

func newFlags(name string) (*pflag.FlagSet, *klogLevel) {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	level := &klogLevel{}
	flags.VarP(level, "v", "v", "how much is logged")
	return flags, level
}
