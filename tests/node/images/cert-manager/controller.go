package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/cert-manager/cert-manager/pkg/controller"
	ingresses "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	requestca "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	requestselfsigned "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	"github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	"github.com/cert-manager/cert-manager/pkg/controller/issuers"

	// Each registers the issuer of its name.
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

const (
	workers = 5
	// Twenty certificates at once are more than any test has.
	requestsPerSecond, burst = 20, 50
)

var controllers = []string{
	issuers.ControllerName,
	clusterissuers.ControllerName,
	ingresses.ControllerName,
	approver.ControllerName,
	requestca.CRControllerName,
	requestselfsigned.CRControllerName,
	trigger.ControllerName,
	issuing.ControllerName,
	keymanager.ControllerName,
	requestmanager.ControllerName,
	readiness.ControllerName,
	revisionmanager.ControllerName,
}

func runController(ctx context.Context, arguments []string) error {
	var lead election
	var resources, metrics, healthz string
	flags, _ := newFlags("controller")
	lead.addTo(flags)
	flags.StringVar(&resources, "cluster-resource-namespace", "kube-system", "Secrets of ClusterIssuers")
	flags.StringVar(&metrics, "metrics-listen-address", "0.0.0.0:9402", "")
	flags.StringVar(&healthz, "internal-healthz-listen-address", "0.0.0.0:9403", "")
	flags.String("acme-http01-solver-image", "", "accepted and not used: there is no ACME here")
	flags.Int("max-concurrent-challenges", 60, "accepted and not used: there is no ACME here")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	factory, err := controller.NewContextFactory(ctx, contextOptions(resources))
	if err != nil {
		return err
	}
	base, err := factory.Build("controller")
	if err != nil {
		return err
	}
	informers := base.SharedInformerFactory.Certmanager().V1()
	base.Metrics.SetupCertificateCollector(informers.Certificates().Lister())
	base.Metrics.SetupIssuerCollector(informers.Issuers().Lister())
	base.Metrics.SetupClusterIssuerCollector(informers.ClusterIssuers().Lister())
	failed := make(chan error, 3)
	serve := func(address string, server func(net.Listener) *http.Server) error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() { failed <- server(listener).Serve(listener) }()
		return nil
	}
	if err := serve(metrics, base.Metrics.NewServer); err != nil {
		return err
	}
	if err := serve(healthz, livez); err != nil {
		return err
	}
	go func() {
		failed <- elected(ctx, base, lead, func(ctx context.Context) error { return work(ctx, factory, base) })
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

func contextOptions(resources string) controller.ContextOptions {
	made := controller.ContextOptions{KubernetesAPIQPS: requestsPerSecond, KubernetesAPIBurst: burst}
	made.ClusterResourceNamespace = resources
	made.DefaultIssuerKind, made.DefaultIssuerGroup = "Issuer", "cert-manager.io"
	made.DefaultAutoCertificateAnnotations = []string{"kubernetes.io/tls-acme"}
	made.CopiedAnnotationPrefixes = []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}
	made.CertificateRequestMinimumBackoffDuration = time.Hour
	made.CertificateRequestMaximumBackoffDuration = 32 * time.Hour
	return made
}

// work runs every controller until ctx ends or one of them fails.
func work(ctx context.Context, factory *controller.ContextFactory, base *controller.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	failed := make(chan error, len(controllers))
	for _, name := range controllers {
		one, err := controller.Known()[name](factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all.Add(1)
		go func() {
			defer all.Done()
			if err := one.Run(workers, ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		}()
	}
	base.SharedInformerFactory.Start(ctx.Done())
	base.KubeSharedInformerFactory.Start(ctx.Done())
	base.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// elected calls run once this process holds the lease, and returns when the lease is lost or run ends.
func elected(ctx context.Context, base *controller.Context, lead election, run func(context.Context) error) error {
	if !lead.enabled {
		return run(ctx)
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: lead.namespace, Name: "cert-manager-controller"},
		Client:     base.Client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: host},
	}
	finished := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock:            lock,
		ReleaseOnCancel: true,
		LeaseDuration:   60 * time.Second,
		RenewDeadline:   40 * time.Second,
		RetryPeriod:     15 * time.Second,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				finished <- run(ctx)
				cancel()
			},
			OnStoppedLeading: func() {},
		},
	})
	select {
	case err := <-finished:
		return err
	default:
		return errors.New("the lease is lost")
	}
}

func livez(net.Listener) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprint(answer, "ok") })
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
}
