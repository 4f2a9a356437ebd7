{{- define "triton.clientSelector" -}}
{{ include "triton.releaseLabels" . }}
app.kubernetes.io/component: client
{{- end -}}

{{/* One server as a line of the client's list: NAME=URL. */}}
{{- define "triton.clientServer" -}}
{{ default .fullname .server }}={{ include "triton.url" . }}
{{- end -}}

{{/* All of them, with blanks. */}}
{{- define "triton.clientServers" -}}
{{- include "triton.each" (list . "triton.clientServer") | replace "---" "" | splitList "\n" | compact | join " " -}}
{{- end -}}
