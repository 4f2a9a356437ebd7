{{- define "standin.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "standin.security" -}}
runAsNonRoot: true
runAsUser: 1000
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* What every pod has in common. */ -}}
{{- define "standin.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.scheduling.podPriority.enabled }}
priorityClassName: {{ .Release.Name }}
{{- end }}
{{- end }}

{{- /* A pod of the image pullers: (dict "root" $ "name" "..."). */ -}}
{{- define "standin.puller" -}}
metadata:
  labels: {app: jupyterhub, component: {{ .name }}, release: {{ .root.Release.Name }}}
spec:
  {{- include "standin.pod" .root | nindent 2 }}
  automountServiceAccountToken: false
  initContainers:
    - name: image-pull-singleuser
      image: {{ .root.Values.singleuser.image.name }}:{{ .root.Values.singleuser.image.tag }}
      command: [/bin/sh, -c, "true"]
      securityContext: {{- include "standin.security" .root | nindent 8 }}
  containers:
    - name: pause
      image: {{ .root.Values.prePuller.pause.image.name }}:{{ .root.Values.prePuller.pause.image.tag }}
      securityContext: {{- include "standin.security" .root | nindent 8 }}
{{- end }}
