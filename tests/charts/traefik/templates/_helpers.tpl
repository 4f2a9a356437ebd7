{{- define "standin.selector" -}}
app.kubernetes.io/name: traefik
app.kubernetes.io/instance: {{ printf "%s-%s" .Release.Name .Release.Namespace }}
{{- end }}
{{- define "standin.labels" -}}
{{ include "standin.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}
{{- /* A list of arguments. A redirection to an entry point of ours goes to the port by which it is reached from outside. */ -}}
{{- define "standin.args" -}}
{{- $outside := dict "web" ":80" "websecure" ":443" }}
- --entryPoints.web.address=:8000
- --entryPoints.websecure.address=:8443
- --entryPoints.websecure.http.tls=true
- --entryPoints.traefik.address=:8080
- --entryPoints.metrics.address=:9100
{{- range $name, $_ := $outside }}
{{- $port := index $.Values.ports $name }}
{{- with $port.transport.respondingTimeouts.readTimeout }}
- --entryPoints.{{ $name }}.transport.respondingTimeouts.readTimeout={{ . }}
{{- end }}
{{- with $port.transport.lifeCycle.requestAcceptGraceTimeout }}
- --entryPoints.{{ $name }}.transport.lifeCycle.requestAcceptGraceTimeout={{ . }}
{{- end }}
{{- end }}
{{- with .Values.ports.web.http.redirections.entryPoint }}
- --entryPoints.web.http.redirections.entryPoint.to={{ get $outside .to | default .to }}
{{- with .scheme }}
- --entryPoints.web.http.redirections.entryPoint.scheme={{ . }}
{{- end }}
{{- with .permanent }}
- --entryPoints.web.http.redirections.entryPoint.permanent={{ . }}
{{- end }}
{{- end }}
- --ping=true
- --metrics.prometheus=true
- --metrics.prometheus.entryPoint=metrics
{{- with .Values.metrics.prometheus.addRoutersLabels }}
- --metrics.prometheus.addRoutersLabels={{ . }}
{{- end }}
- --providers.kubernetesIngress
- --providers.kubernetesIngress.allowEmptyServices=true
- --providers.kubernetesIngress.ingressEndpoint.publishedService={{ .Release.Namespace }}/{{ .Release.Name }}
- --providers.kubernetesCRD
- --providers.kubernetesCRD.allowEmptyServices=true
- --global.checkNewVersion={{ .Values.global.checkNewVersion }}
- --global.sendAnonymousUsage=false
- --log.level={{ .Values.log.level }}
- --accessLog={{ .Values.accessLog.enabled }}
{{- end }}
