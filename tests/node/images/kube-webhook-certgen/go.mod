module sparkrig.dev/images/kube-webhook-certgen

go 1.26.0
