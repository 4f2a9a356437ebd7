{{- /* What the programs are told, and what they may: less finely divided than upstream does it. */ -}}
{{- define "standin.args.controller" -}}
- --v=2
- --cluster-resource-namespace=$(POD_NAMESPACE)
- --leader-election-namespace={{ .Values.global.leaderElection.namespace }}
{{- end }}

{{- define "standin.args.cainjector" -}}
- --v=2
- --leader-election-namespace={{ .Values.global.leaderElection.namespace }}
{{- end }}

{{- define "standin.args.webhook" -}}
- --v=2
- --secure-port=10250
- --dynamic-serving-ca-secret-namespace=$(POD_NAMESPACE)
- --dynamic-serving-ca-secret-name={{ .Release.Name }}-webhook-ca
- --dynamic-serving-dns-names={{ .Release.Name }}-webhook.$(POD_NAMESPACE).svc
{{- end }}

{{- define "standin.rules.controller" -}}
- {apiGroups: [cert-manager.io, acme.cert-manager.io], resources: ["*"], verbs: ["*"]}
- {apiGroups: [cert-manager.io], resources: [signers], verbs: [approve], resourceNames: ["issuers.cert-manager.io/*", "clusterissuers.cert-manager.io/*"]}
- {apiGroups: [""], resources: [secrets], verbs: [get, list, watch, create, update, patch, delete]}
- {apiGroups: [""], resources: [events], verbs: [create, patch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses/finalizers], verbs: [update]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, get, update, patch]}
{{- end }}

{{- define "standin.rules.cainjector" -}}
- {apiGroups: [cert-manager.io], resources: [certificates], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [secrets], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [events], verbs: [create, patch]}
- {apiGroups: [admissionregistration.k8s.io], resources: [mutatingwebhookconfigurations, validatingwebhookconfigurations], verbs: [get, list, watch, update, patch]}
- {apiGroups: [apiregistration.k8s.io], resources: [apiservices], verbs: [get, list, watch, update, patch]}
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [get, list, watch, update, patch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, get, update, patch]}
{{- end }}

{{- define "standin.rules.webhook" -}}
- {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
- {apiGroups: [""], resources: [secrets], verbs: [get, list, watch, create, update]}
{{- end }}
