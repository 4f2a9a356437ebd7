{{- define "nfd.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* One of the three workloads: (dict "root" $ "part" "master" "kind" "Deployment"). */ -}}
{{- define "nfd.workload" -}}
{{- $root := .root }}
{{- $values := index $root.Values .part }}
apiVersion: apps/v1
kind: {{ .kind }}
metadata:
  name: {{ $root.Release.Name }}-node-feature-discovery-{{ .part }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "nfd.labels" $root | nindent 4 }}
spec:
  {{- if eq .kind "Deployment" }}
  replicas: {{ $values.replicaCount | default 1 }}
  {{- end }}
  selector:
    matchLabels: {app: nfd, role: {{ .part }}}
  template:
    metadata:
      labels: {app: nfd, role: {{ .part }}}
    spec:
      serviceAccountName: node-feature-discovery
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.podSecurityContext }}
      securityContext: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if eq .part "worker" }}
      tolerations:
        - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
      {{- end }}
      containers:
        - name: {{ .part }}
          image: {{ $root.Values.image.repository }}:{{ $root.Chart.AppVersion }}
          command: [nfd-{{ .part }}]
          readinessProbe:
            httpGet: {path: /healthz, port: 8080}
          securityContext:
            runAsNonRoot: true
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          {{- if eq .part "worker" }}
          volumeMounts:
            - {name: host-sys, mountPath: /host-sys, readOnly: true}
      volumes:
        - name: host-sys
          hostPath: {path: /sys}
          {{- end }}
{{- end }}
