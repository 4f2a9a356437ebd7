{{/* Environment of a server that reads the same stores as jobs do; a list, [] where nothing is needed. */}}
{{- define "spark-platform.storageEnv" -}}
{{- $d := .Values.sparkDefaults -}}
{{- with $d.s3.credentials }}
{{- if .secretName }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ .secretName }}, key: {{ .accessKey }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .secretName }}, key: {{ .secretKey }}}}
{{- end }}
{{- end }}
{{- if $d.hdfs.configMap }}
- {name: HADOOP_CONF_DIR, value: /etc/hadoop/conf}
{{- end }}
{{- end -}}

{{/* And those of catalogues. */}}
{{- define "spark-platform.catalogEnv" -}}
{{- range .Values.sparkDefaults.iceberg.catalogs }}
{{- if .credentialSecret }}
- name: {{ include "spark-platform.catalogVariable" .name }}
  valueFrom: {secretKeyRef: {name: {{ .credentialSecret.name }}, key: {{ default "credential" .credentialSecret.key }}}}
{{- end }}
{{- end }}
{{- end -}}
