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

{{- /* A token of the Secret `hub`, 64 hex digits: the one that the cluster has, else a new one. (list $ "key"). */ -}}
{{- define "standin.token" -}}
{{- $root := index . 0 }}
{{- $key := index . 1 }}
{{- $there := lookup "v1" "Secret" $root.Release.Namespace "hub" | default dict }}
{{- get (get $there "data" | default dict) $key | b64dec | default (randAlphaNum 32 | sha256sum) }}
{{- end }}

{{- /* What files/jupyterhub_config.py reads. */ -}}
{{- define "standin.settings" -}}
release: {{ .Release.Name }}
config: {{ toJson .Values.hub.config }}
services: {{ toJson .Values.hub.services }}
roles: {{ toJson .Values.hub.loadRoles }}
memory: {{ toJson .Values.singleuser.memory }}
cpu: {{ toJson .Values.singleuser.cpu }}
startTimeout: {{ .Values.singleuser.startTimeout }}
environment: {{ toJson .Values.singleuser.extraEnv }}
volumes: {{ toJson .Values.singleuser.storage.extraVolumes }}
mounts: {{ toJson .Values.singleuser.storage.extraVolumeMounts }}
pullProfiles: {{ .Values.prePuller.pullProfileListImages }}
pullSecrets: {{ toJson .Values.imagePullSecrets }}
spawns: {{ .Values.hub.concurrentSpawnLimit }}
capacity: {{ .Values.singleuser.storage.capacity }}
storageClass: {{ .Values.singleuser.storage.dynamic.storageClass | toJson }}
image: {{ .Values.singleuser.image.name }}:{{ .Values.singleuser.image.tag }}
tolerations: {{ toJson .Values.singleuser.extraTolerations }}
priorityClass: {{ ternary .Release.Name nil .Values.scheduling.podPriority.enabled | toJson }}
profiles: {{ toJson .Values.singleuser.profileList }}
{{- /* Its image is made of nothing here; that it would be there shows on `sim`. */}}
initContainers: {{ ternary "[{name: block-cloud-metadata, image: quay.io/jupyterhub/k8s-network-tools, securityContext: {privileged: true}}]" "[]" .Values.singleuser.cloudMetadata.blockWithIptables }}
cull: {{ toJson .Values.cull }}
{{- end }}
