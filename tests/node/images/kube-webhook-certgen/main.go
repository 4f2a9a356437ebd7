// Makes a webhook's certificate in a Secret (`create`), and gives its CA to the webhook's configurations (`patch`).
// The program that charts use for it is no Go module that can be fetched. Its two commands, with the options that
// kube-prometheus-stack gives them; the API server is asked as every pod may, by the service account's token.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

var version = "unknown"

type options struct {
	namespace, secret, hosts, webhook, failurePolicy string
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: kube-webhook-certgen create|patch|version [options]"))
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.namespace, "namespace", "", "the Secret's namespace")
	flags.StringVar(&o.secret, "secret-name", "", "the Secret's name")
	flags.StringVar(&o.hosts, "host", "", "create: the certificate's names, separated by commas")
	flags.StringVar(&o.webhook, "webhook-name", "", "patch: name of the mutating and the validating configuration")
	flags.StringVar(&o.failurePolicy, "patch-failure-policy", "", "patch: Ignore or Fail; empty leaves it")
	_ = flags.Parse(os.Args[2:])
	switch os.Args[1] {
	case "version":
		fmt.Println("kube-webhook-certgen v" + version)
	case "create":
		fail(create(o))
	case "patch":
		fail(patch(o))
	default:
		fail(fmt.Errorf("no command %q: create, patch or version", os.Args[1]))
	}
}

func create(o options) error {
	status, _, err := ask(http.MethodGet, secretPath(o), "", nil)
	if err != nil || status == http.StatusOK {
		return err
	}
	made, err := certificate(strings.Split(o.hosts, ","), time.Now())
	if err != nil {
		return err
	}
	body := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]string{"name": o.secret}, "data": made}
	status, said, err := ask(http.MethodPost, "/api/v1/namespaces/"+o.namespace+"/secrets", "application/json", body)
	return expect(status, said, err, http.StatusCreated)
}

func patch(o options) error {
	status, said, err := ask(http.MethodGet, secretPath(o), "", nil)
	if err := expect(status, said, err, http.StatusOK); err != nil {
		return err
	}
	var secret struct{ Data map[string][]byte }
	if err := json.Unmarshal(said, &secret); err != nil {
		return err
	}
	for _, kind := range []string{"mutating", "validating"} {
		path := "/apis/admissionregistration.k8s.io/v1/" + kind + "webhookconfigurations/" + o.webhook
		if err := patchOne(path, secret.Data["ca"], o.failurePolicy); err != nil {
			return err
		}
	}
	return nil
}

func patchOne(path string, ca []byte, failurePolicy string) error {
	status, said, err := ask(http.MethodGet, path, "", nil)
	if err := expect(status, said, err, http.StatusOK); err != nil {
		return err
	}
	var found struct{ Webhooks []any }
	if err := json.Unmarshal(said, &found); err != nil {
		return err
	}
	var changes []map[string]any
	for number := range found.Webhooks {
		at := fmt.Sprintf("/webhooks/%d/", number)
		changes = append(changes, map[string]any{"op": "add", "path": at + "clientConfig/caBundle", "value": ca})
		if failurePolicy != "" {
			changes = append(changes, map[string]any{"op": "add", "path": at + "failurePolicy", "value": failurePolicy})
		}
	}
	status, said, err = ask(http.MethodPatch, path, "application/json-patch+json", changes)
	return expect(status, said, err, http.StatusOK)
}

func secretPath(o options) string {
	return "/api/v1/namespaces/" + o.namespace + "/secrets/" + o.secret
}

// ask sends one request to the API server and returns its status and its answer.
func ask(method, path, kind string, body any) (int, []byte, error) {
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return 0, nil, err
	}
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return 0, nil, err
	}
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(ca)
	sent, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	address := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	request, err := http.NewRequest(method, "https://"+address+path, bytes.NewReader(sent))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: known}}}
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	return answer.StatusCode, said, err
}

func expect(status int, said []byte, err error, wanted int) error {
	if err == nil && status != wanted {
		return fmt.Errorf("the API server answered %d: %s", status, said)
	}
	return err
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
