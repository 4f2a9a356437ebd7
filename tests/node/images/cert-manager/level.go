package main

import "k8s.io/klog/v2"

// klogLevel is the flag --v: klog's verbosity.
type klogLevel struct{ klog.Level }

func (l *klogLevel) Type() string { return "int" }

func (l *klogLevel) Set(text string) error {
	return l.Level.Set(text)
}
