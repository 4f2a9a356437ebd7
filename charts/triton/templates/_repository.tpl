{{/* Where the server looks for models: a folder, or a bucket in Triton's own form, s3://https://host:port/bucket/prefix. */}}
{{- define "triton.repository" -}}
{{- $s3 := .Values.modelRepository.s3 -}}
{{- if eq .Values.modelRepository.type "s3" -}}
s3://{{ with $s3.endpoint }}{{ . }}/{{ end }}{{ $s3.bucket }}{{ with $s3.prefix }}/{{ trimAll "/" . }}{{ end }}
{{- else -}}
{{ .Values.modelRepository.path }}
{{- end -}}
{{- end -}}

{{/* Environment for a bucket. Keys come from a Secret, or from the account's identity in the cloud. */}}
{{- define "triton.repositoryEnv" -}}
{{- $s3 := .Values.modelRepository.s3 -}}
{{- if eq .Values.modelRepository.type "s3" }}
# The server copies the bucket to a folder; a volume bounds what that takes of the node.
- {name: TRITON_AWS_MOUNT_DIRECTORY, value: {{ .Values.modelRepository.path }}}
{{- with $s3.region }}
- {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
{{- end }}
{{- if eq $s3.auth "secret" }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ $s3.secret.name }}, key: {{ $s3.secret.accessKeyId }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ $s3.secret.name }}, key: {{ $s3.secret.secretAccessKey }}}}
{{- with $s3.secret.sessionToken }}
- name: AWS_SESSION_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $s3.secret.name }}, key: {{ . }}}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The volume of models, without its name. */}}
{{- define "triton.repositoryVolume" -}}
{{- $repository := .Values.modelRepository -}}
{{- if eq $repository.type "claim" -}}
persistentVolumeClaim:
  claimName: {{ .fullname }}-models
{{- else if eq $repository.type "existingClaim" -}}
persistentVolumeClaim:
  claimName: {{ $repository.existingClaim.name }}
  {{- if and $repository.readOnly (eq $repository.load.as "none") }}
  readOnly: true
  {{- end }}
{{- else if eq $repository.type "hostPath" -}}
hostPath: {path: {{ $repository.hostPath.path }}, type: Directory}
{{- else -}}
emptyDir: {sizeLimit: {{ $repository.emptyDir.sizeLimit }}}
{{- end -}}
{{- end -}}

{{/* The file by which a Job says that it has filled the volume; another Job, another file. */}}
{{- define "triton.loadMark" -}}
{{ .Values.modelRepository.path }}/.{{ include "triton.loadJob" . }}
{{- end -}}

{{/* A Job cannot be changed: what it does is in its name, so that a change makes a new one. */}}
{{- define "triton.loadJob" -}}
{{- $image := include "triton.image" .Values.modelRepository.load.image -}}
{{ .fullname }}-load-{{ list $image .Values.modelRepository .Values.image | toJson | sha256sum | trunc 8 }}
{{- end -}}

{{/* The container that puts models in place, in front of the server or in a Job. */}}
{{- define "triton.loadContainer" -}}
{{- $load := .Values.modelRepository.load -}}
- name: load
  image: {{ include "triton.image" $load.image | quote }}
  imagePullPolicy: {{ $load.image.pullPolicy }}
  command:
    {{- toYaml $load.command | nindent 4 }}
  {{- with $load.args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    - {name: HOME, value: /tmp}
    - {name: MODEL_REPOSITORY, value: {{ .Values.modelRepository.path }}}
    {{- with $load.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  securityContext:
    {{- include "triton.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml $load.resources | nindent 4 }}
  volumeMounts:
    - {name: models, mountPath: {{ .Values.modelRepository.path }}}
    - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* What must be done before the server starts. */}}
{{- define "triton.initContainers" -}}
{{- $repository := .Values.modelRepository -}}
{{- if eq $repository.type "image" }}
- name: copy
  image: {{ include "triton.image" $repository.image | quote }}
  imagePullPolicy: {{ $repository.image.pullPolicy }}
  # Without -a: the owner of files cannot be kept by a user that is not root.
  command: [cp, -R, {{ printf "%s/." (trimSuffix "/" $repository.image.path) | quote }}, /target/]
  securityContext:
    {{- include "triton.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml $repository.load.resources | nindent 4 }}
  volumeMounts:
    # Not where the image itself may have its models: a mount would hide them.
    - {name: models, mountPath: /target}
{{- else if eq $repository.load.as "initContainer" }}
{{ include "triton.loadContainer" . }}
{{- else if eq $repository.load.as "job" }}
- name: wait
  image: {{ include "triton.image" .Values.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
    - /bin/sh
    - -c
    - 'until [ -e "$1" ]; do echo "Job $2 has not filled the volume yet"; sleep 5; done'
    - wait
    - {{ include "triton.loadMark" . }}
    - {{ include "triton.loadJob" . }}
  securityContext:
    {{- include "triton.containerSecurity" . | nindent 4 }}
  resources:
    requests: {cpu: 10m, memory: 32Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: models, mountPath: {{ $repository.path }}, readOnly: true}
{{- end }}
{{- end -}}
