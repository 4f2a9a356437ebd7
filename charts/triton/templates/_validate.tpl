{{/* Mistakes that a schema cannot see because they are between values; all of all servers at once. */}}
{{- define "triton.validate" -}}
{{- $names := list -}}
{{- $problems := list -}}
{{- range $index, $server := default list .Values.servers -}}
{{- if has $server.name $names -}}
{{- $problems = append $problems (printf "servers[%d].name is %q, as that of another server: each needs a name of its own, it becomes the name of its Service." $index $server.name) -}}
{{- end -}}
{{- $names = append $names $server.name -}}
{{- end -}}
{{- range include "triton.each" (list . "triton.problems") | splitList "\n" -}}
{{- $line := trim . -}}
{{- if and $line (ne $line "---") -}}{{- $problems = append $problems $line -}}{{- end -}}
{{- end -}}
{{- with uniq $problems -}}{{- fail (join "\n" .) -}}{{- end -}}
{{- end -}}

{{/* What is wrong with one server, a line each. */}}
{{- define "triton.problems" -}}
{{- $where := ternary "" (printf "server %s: " .server) (empty .server) -}}
{{- range list "triton.problemsOfPods" "triton.problemsOfModels" "triton.problemsOfRepository" "triton.problemsOfAccess" -}}
{{- range include . $ | splitList "\n" -}}
{{- with trim . }}
{{ $where }}{{ . }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "triton.problemsOfPods" -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $scaling := .Values.autoscaling -}}
{{- $fewest := include "triton.fewest" . | int -}}
{{- $value := ternary "autoscaling.minReplicas" "replicas" $scaling.enabled -}}
{{- if gt (len .fullname) 52 }}
the name {{ .fullname }} has {{ len .fullname }} characters, and its Services' suffixes leave 52: choose a shorter fullnameOverride or server name.
{{- end }}
{{- if and $budget.enabled (gt $fewest 1) (not (hasSuffix "%" (toString $budget.minAvailable))) (ge (int $budget.minAvailable) $fewest) }}
podDisruptionBudget.minAvailable is {{ int $budget.minAvailable }} with {{ $fewest }} replicas: no node could ever be drained. Set it below {{ $value }}, or raise {{ $value }}.
{{- end }}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
autoscaling.minReplicas {{ int $scaling.minReplicas }} is above autoscaling.maxReplicas {{ int $scaling.maxReplicas }}: lower the first or raise the second.
{{- end }}
{{- if and (include "triton.oneHolder" .) (gt (ternary $scaling.maxReplicas .Values.replicas $scaling.enabled | int) 1) }}
modelRepository.claim.accessModes {{ toJson .Values.modelRepository.claim.accessModes }} lets one node hold the volume, and there may be {{ ternary $scaling.maxReplicas .Values.replicas $scaling.enabled | int }} replicas: take [ReadWriteMany], or one replica.
{{- end }}
{{- if and (eq (include "triton.strategy" .) "RollingUpdate") (eq (toString .Values.updateStrategy.maxSurge | trimSuffix "%") "0") (eq (toString .Values.updateStrategy.maxUnavailable | trimSuffix "%") "0") }}
updateStrategy.maxSurge and updateStrategy.maxUnavailable are both 0: an update could neither add nor take away a pod. Set one of them to 1.
{{- end }}
{{- if and .Values.gpu.enabled (lt (int .Values.gpu.count) 1) }}
gpu.count is 0 although a GPU is asked for: set gpu.count to 1 or more, or gpu.enabled to false.
{{- end }}
{{- if and .Values.gpu.enabled .Values.gpu.model (eq .Values.gpu.modelLabel "nvidia.com/gpu.product") (not (hasPrefix "nvidia.com/" .Values.gpu.resource)) }}
gpu.model {{ .Values.gpu.model }} is looked for in the node label nvidia.com/gpu.product, which nodes with {{ .Values.gpu.resource }} do not have: set gpu.modelLabel to that vendor's label.
{{- end }}
{{- with (default dict .Values.resources).limits }}
{{- if and (hasKey . "memory") (ge (include "triton.bytes" $.Values.sharedMemory.size | float64) (include "triton.bytes" .memory | float64)) }}
sharedMemory.size {{ $.Values.sharedMemory.size }} is not below resources.limits.memory {{ .memory }}: /dev/shm counts as memory of the container, which would be killed when it fills. Raise the limit.
{{- end }}
{{- end }}
{{- end -}}

{{- define "triton.problemsOfModels" -}}
{{- $server := .Values.server -}}
{{- $loaded := default list $server.loadModels -}}
{{- if and $loaded (ne $server.modelControlMode "explicit") }}
server.loadModels is used in mode explicit only: set server.modelControlMode to explicit, or name the models that must be there in server.requiredModels.
{{- end }}
{{- if and (has "*" $loaded) (gt (len $loaded) 1) }}
server.loadModels has "*" and further names: "*" loads all models and stands alone.
{{- end }}
{{- if and (eq $server.modelControlMode "explicit") (not (has "*" $loaded)) (not $server.args) }}
{{- range $server.requiredModels }}
{{- if not (or (has . $loaded) (and (eq . "sample") $.Values.sampleModel.enabled)) }}
server.requiredModels names {{ . }}, which server.loadModels does not load: in mode explicit the pod would wait for it for ever. Add it to server.loadModels.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "triton.problemsOfRepository" -}}
{{- $repository := .Values.modelRepository -}}
{{- $as := $repository.load.as -}}
{{- $has := dict "existingClaim" $repository.existingClaim.name "hostPath" $repository.hostPath.path "s3" $repository.s3.bucket "image" $repository.image.repository -}}
{{- $needs := dict "existingClaim" "existingClaim.name, the name of your PersistentVolumeClaim" "hostPath" "hostPath.path, a folder of the node" "s3" "s3.bucket, the bucket's name" "image" "image.repository, the image that holds the models" -}}
{{- if and (hasKey $has $repository.type) (not (get $has $repository.type)) }}
modelRepository.type {{ $repository.type }} needs modelRepository.{{ get $needs $repository.type }}.
{{- end }}
{{- if and (eq $repository.type "s3") (eq $repository.s3.auth "secret") (not $repository.s3.secret.name) }}
modelRepository.type s3 needs modelRepository.s3.secret.name, the Secret with the access key; or set modelRepository.s3.auth to identity where the cloud gives the service account an identity.
{{- end }}
{{- if and (eq $repository.type "s3") $repository.readOnly }}
modelRepository.readOnly is true with modelRepository.type s3: the server copies the bucket to its volume, so it has to write there. Set it to false.
{{- end }}
{{- if and (ne $as "none") (has $repository.type (list "s3" "image")) }}
modelRepository.load.as is {{ $as }} with modelRepository.type {{ $repository.type }}, which brings the models by itself: set modelRepository.load.as to none, or type to emptyDir or claim.
{{- end }}
{{- if and (eq $as "job") (eq $repository.type "emptyDir") }}
modelRepository.load.as is job with modelRepository.type emptyDir: a Job cannot reach another pod's volume. Set type to claim, or load.as to initContainer.
{{- end }}
{{- $used := dict "modelRepository.image" (and (eq $repository.type "image") $repository.image) "modelRepository.load.image" (and (ne $as "none") $repository.load.image) }}
{{- range $path, $image := $used }}
{{- if and $image $image.repository (not $image.tag) (not $image.digest) }}
{{ $path }} has no tag and no digest: say which version, a tag such as 1.4.0 or better a digest.
{{- end }}
{{- end }}
{{- if and (ne $as "none") (or (not $repository.load.image.repository) (not $repository.load.command)) }}
modelRepository.load.as {{ $as }} needs modelRepository.load.image.repository and modelRepository.load.command, which put the models into $MODEL_REPOSITORY.
{{- end }}
{{- end -}}

{{- define "triton.problemsOfAccess" -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
ingress.enabled needs ingress.host, the host name under which the server is reached.
{{- end }}
{{- if and .Values.gateway.enabled (or (not .Values.gateway.host) (not .Values.gateway.parentRefs)) }}
gateway.enabled needs gateway.host, and gateway.parentRefs with the name (and namespace) of the Gateway.
{{- end }}
{{- if and .Values.client.enabled .Values.client.ingress.enabled (not .Values.client.ingress.host) }}
client.ingress.enabled needs client.ingress.host, the host name of the page.
{{- end }}
{{- if and .Values.tracing.enabled (not .Values.tracing.endpoint) }}
tracing.enabled needs tracing.endpoint, the collector's OTLP address over HTTP, such as http://otel-collector.observability:4318/v1/traces.
{{- end }}
{{- end -}}
