{{- define "spark-examples.labels" -}}
app.kubernetes.io/name: spark-examples
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: sparkrig
app.kubernetes.io/version: {{ .Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "spark-examples.namespace" -}}{{ first .Values.jobNamespaces }}{{- end -}}

{{- define "spark-examples.image" -}}
{{- with .Values.image -}}
{{- printf "%s/%s" .registry .repository -}}
{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Metadata of an example. Argument: dict root, name. */}}
{{- define "spark-examples.metadata" -}}
name: example-{{ .name }}
namespace: {{ include "spark-examples.namespace" .root }}
labels:
  {{- include "spark-examples.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .name }}
  # The clean-up of finished applications leaves it: an example that is gone would have to be installed again.
  sparkrig.dev/keep: "true"
{{- end -}}

{{/* What applications have in common. Argument: .root */}}
{{- define "spark-examples.common" -}}
mode: cluster
image: {{ include "spark-examples.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range .Values.imagePullSecrets }}
  - {{ .name }}
  {{- end }}
{{- end }}
sparkVersion: {{ .Values.image.tag | quote }}
restartPolicy:
  {{- if gt (int .Values.retries) 0 }}
  type: OnFailure
  onFailureRetries: {{ int .Values.retries }}
  onFailureRetryInterval: 30
  onSubmissionFailureRetries: {{ int .Values.retries }}
  onSubmissionFailureRetryInterval: 30
  {{- else }}
  type: Never
  {{- end }}
{{- end -}}

{{/* Volumes of an application: what Spark writes, and what differs. Argument: dict packages, gpu. */}}
{{- define "spark-examples.volumes" -}}
- {name: example-tmp, emptyDir: {}}
- {name: example-work, emptyDir: {}}
{{- if .packages }}
- {name: python-packages, emptyDir: {}}
- {name: pip-tmp, emptyDir: {}}
{{- end }}
{{- if .gpu }}
# 0555: Spark runs the script that finds the GPU. A ConfigMap of spark-platform.
- {name: gpu-scripts, configMap: {name: spark-scripts, defaultMode: 365}}
{{- end }}
{{- end -}}

{{/* A driver or an executor. Argument: dict root, role, and what differs: memory, scripts, packages, gpu. */}}
{{- define "spark-examples.part" -}}
{{- $size := get .root.Values.resources .role -}}
cores: {{ int $size.cores }}
memory: {{ default $size.memory .memory }}
serviceAccount: {{ get .root.Values.serviceAccounts .role }}
{{- if eq .role "executor" }}
instances: {{ int (default $size.instances .instances) }}
{{- end }}
{{- /* spark-platform's pod templates have these too, where they reach an application: see docs/charts/spark-platform.md.
       Stated here, so that the examples run in each cluster: the root filesystem is read-only, so what Spark writes has volumes. */}}
securityContext:
  {{- include "spark-examples.securityContext" . | nindent 2 }}
{{- if .scripts }}
configMaps:
  - {name: {{ .scripts }}, path: /etc/spark-examples}
# Modules beside the script: deps.pyFiles would leave executors without them, since Spark distributes no local:// files.
env:
  - {name: PYTHONPATH, value: {{ ternary "/opt/python-packages:/etc/spark-examples" "/etc/spark-examples" (not (empty .packages)) }}}
{{- end }}
volumeMounts:
  - {name: example-tmp, mountPath: /tmp}
  - {name: example-work, mountPath: /opt/spark/work-dir}
{{- if .packages }}
  - {name: python-packages, mountPath: /opt/python-packages}
{{- end }}
{{- if .gpu }}
  - {name: gpu-scripts, mountPath: /etc/spark/scripts, readOnly: true}
gpu: {name: {{ .gpu }}, quantity: 1}
tolerations:
  # The taint is the whole device's name also where slices of it are asked for.
  - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
{{- end }}
{{- with .packages }}
initContainers:
  - name: requirements
    image: {{ include "spark-examples.image" $.root | quote }}
    imagePullPolicy: {{ $.root.Values.image.pullPolicy }}
    command: [python3, -m, pip, install, --no-cache-dir, --disable-pip-version-check, --target, /opt/python-packages]
    args: {{ toJson (concat (ternary (list (printf "--index-url=%s" $.root.Values.python.indexUrl)) list (ne $.root.Values.python.indexUrl "")) .) }}
    resources:
      requests: {cpu: 100m, memory: 256Mi}
      limits: {memory: 512Mi}
    securityContext:
      {{- include "spark-examples.securityContext" $ | nindent 6 }}
    volumeMounts:
      - {name: python-packages, mountPath: /opt/python-packages}
      - {name: pip-tmp, mountPath: /tmp}
{{- end }}
{{- end -}}

{{- define "spark-examples.securityContext" -}}
runAsUser: 185
runAsGroup: 185
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "spark-examples.piSpec" -}}
type: Scala
{{ include "spark-examples.common" . }}
mainClass: org.apache.spark.examples.SparkPi
mainApplicationFile: local:///opt/spark/examples/jars/spark-examples.jar
arguments: [{{ int .Values.pi.slices | quote }}]
volumes:
  {{- include "spark-examples.volumes" dict | nindent 2 }}
driver:
  {{- include "spark-examples.part" (dict "root" . "role" "driver") | nindent 2 }}
executor:
  {{- include "spark-examples.part" (dict "root" . "role" "executor") | nindent 2 }}
{{- end -}}
