{{/* Peers: all pods of the named namespaces. An empty list lets nobody in, where an empty `from` would let everybody. */}}
{{- define "spark-platform.fromNamespaces" -}}
- namespaceSelector:
    matchExpressions:
      {{- if . }}
      - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
      {{- else }}
      - {key: kubernetes.io/metadata.name, operator: DoesNotExist}
      {{- end }}
{{- end -}}

{{- define "spark-platform.dnsEgress" -}}
{{- with .Values.networkPolicies.dns }}
- to:
    {{- toYaml . | nindent 4 }}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}
{{- end -}}

{{- define "spark-platform.apiEgress" -}}
{{- with .Values.networkPolicies.apiServer }}
- to:
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range .ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end -}}

{{/* DNS, what the user opened, and the ports of the stores that the defaults name. */}}
{{- define "spark-platform.dataEgress" -}}
{{- include "spark-platform.dnsEgress" . }}
{{- with .Values.networkPolicies.egress }}
{{ toYaml . }}
{{- end }}
{{- $d := .Values.sparkDefaults -}}
{{- $urls := concat (list $d.s3.endpoint) $d.hive.metastoreUris -}}
{{- range $d.iceberg.catalogs -}}{{- $urls = append $urls (default "" .uri) -}}{{- end -}}
{{- $ports := list -}}
{{- range compact $urls -}}{{- $ports = append $ports (include "spark-platform.port" .) -}}{{- end -}}
{{- if $d.hdfs.configMap -}}{{- range $d.hdfs.ports -}}{{- $ports = append $ports (toString (int .)) -}}{{- end -}}{{- end -}}
{{- range $ports | uniq | sortAlpha }}
- ports: [{port: {{ . }}, protocol: TCP}]
{{- end }}
{{- end -}}
