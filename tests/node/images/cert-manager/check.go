package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/cert-manager/cert-manager/pkg/util/cmapichecker"
)

// runCheck ends well as soon as the webhook judges requests: `check api --wait=1m`.
func runCheck(ctx context.Context, arguments []string) error {
	var longest time.Duration
	flags, _ := newFlags("startupapicheck")
	flags.Lookup("v").NoOptDefVal = "1"
	flags.DurationVar(&longest, "wait", 0, "how long to go on asking")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if words := flags.Args(); len(words) != 2 || words[0] != "check" || words[1] != "api" {
		return fmt.Errorf("expected `check api`, found %q", words)
	}
	configuration, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	checker, err := cmapichecker.New(configuration, os.Getenv("POD_NAMESPACE"))
	if err != nil {
		return err
	}
	var last error
	ask := func(ctx context.Context) (bool, error) {
		if last = checker.Check(ctx); last != nil {
			fmt.Printf("not ready: %v\n", last)
		}
		return last == nil, nil
	}
	if err := wait.PollUntilContextTimeout(ctx, time.Second, longest, true, ask); err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	fmt.Println("the cert-manager API is ready")
	return nil
}
