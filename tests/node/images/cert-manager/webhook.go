package main

import (
	"context"

	"github.com/cert-manager/cert-manager/internal/webhook"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/webhook/options"
)

func runWebhook(ctx context.Context, arguments []string) error {
	configuration, err := options.NewWebhookConfiguration()
	if err != nil {
		return err
	}
	flags, _ := newFlags("webhook")
	flags.Int32Var(&configuration.SecurePort, "secure-port", configuration.SecurePort, "")
	flags.Int32Var(&configuration.HealthzPort, "healthz-port", configuration.HealthzPort, "")
	dynamic := &configuration.TLSConfig.Dynamic
	flags.StringVar(&dynamic.SecretNamespace, "dynamic-serving-ca-secret-namespace", "", "")
	flags.StringVar(&dynamic.SecretName, "dynamic-serving-ca-secret-name", "", "")
	flags.StringSliceVar(&dynamic.DNSNames, "dynamic-serving-dns-names", nil, "")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	server, err := webhook.NewCertManagerWebhookServer(logf.FromContext(ctx), *configuration)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}
