{{/* What lies between the values of Spark itself. Each returns a JSON list of sentences. */}}

{{/* Bytes of a size in Spark's units (k, m, g, t are powers of 1024). */}}
{{- define "spark-platform.heap" -}}
{{- include "spark-platform.number" (printf "%si" (upper .)) -}}
{{- end -}}

{{/* What a pod of a role takes: heap, and its overhead as Spark counts it. Argument: dict memory, factor, overhead. */}}
{{- define "spark-platform.podBytes" -}}
{{- $heap := include "spark-platform.heap" .memory | float64 -}}
{{- $factor := ternary 0.1 (float64 .factor) (eq (float64 .factor) 0.0) -}}
{{- $overhead := max (mulf $heap $factor) (mulf 384 1048576) -}}
{{- with .overhead -}}{{- $overhead = include "spark-platform.heap" . | float64 -}}{{- end -}}
{{- addf $heap $overhead -}}
{{- end -}}

{{- define "spark-platform.templateProblems" -}}
{{- $problems := list -}}
{{- $templates := .Values.podTemplates -}}
{{- $d := .Values.sparkDefaults -}}
{{- range $name, $t := $templates -}}
{{- $nodes := list -}}
{{- with $t.device -}}
{{- if .models -}}{{- $nodes = append $nodes "device.models" -}}{{- end -}}
{{- if .minMemoryMiB -}}{{- $nodes = append $nodes "device.minMemoryMiB" -}}{{- end -}}
{{- if not (hasPrefix "nvidia.com/" .resource) -}}
{{- if and .models (not .modelLabel) -}}
{{- $problems = append $problems (printf "podTemplates.%s: which node label holds the model of %s? Set device.modelLabel; only NVIDIA's is known." $name .resource) -}}
{{- end -}}
{{- if and .minMemoryMiB (not .memoryLabel) -}}
{{- $problems = append $problems (printf "podTemplates.%s: which node label holds the memory of %s? Set device.memoryLabel; only NVIDIA's is known." $name .resource) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne (default "any" $t.spot) "any" -}}{{- $nodes = append $nodes "spot" -}}{{- end -}}
{{- if and $nodes (hasKey (default dict $t.affinity) "nodeAffinity") -}}
{{- $problems = append $problems (printf "podTemplates.%s: affinity.nodeAffinity and %s both choose nodes. Leave one of them out, or say the first with nodeSelector." $name (join ", " $nodes)) -}}
{{- end -}}
{{- if and (eq (default "any" $t.spot) "only") (not $.Values.spotNodes.labels) -}}
{{- $problems = append $problems (printf "podTemplates.%s wants spot nodes, but spotNodes.labels does not say how they are told." $name) -}}
{{- end -}}
{{- end -}}
{{- $uses := list (dict "path" "sparkDefaults.driverPodTemplate" "name" $d.driverPodTemplate "role" "driver") (dict "path" "sparkDefaults.executor.podTemplate" "name" $d.executor.podTemplate "role" "executor") -}}
{{- if $d.rapids.enabled -}}{{- $uses = append $uses (dict "path" "sparkDefaults.rapids.podTemplate" "name" $d.rapids.podTemplate "role" "executor") -}}{{- end -}}
{{- if .Values.connect.enabled -}}{{- $uses = append $uses (dict "path" "connect.executors.podTemplate" "name" .Values.connect.executors.podTemplate "role" "executor") -}}{{- end -}}
{{- range $uses -}}
{{- $t := get $templates .name -}}
{{- if not $t -}}
{{- if not (hasKey $templates .name) -}}
{{- $problems = append $problems (printf "%s is %q, but podTemplates has only %s." .path .name (keys $templates | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey $templates .name) (ne (default "executor" (default dict $t).role) .role) -}}
{{- $problems = append $problems (printf "%s is %q, a template for the %s. Name one whose role is %s." .path .name (default "executor" $t.role) .role) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "spark-platform.defaultsProblems" -}}
{{- $problems := list -}}
{{- $v := .Values -}}
{{- $d := $v.sparkDefaults -}}
{{- with $d.dynamicAllocation -}}
{{- if .enabled -}}
{{- if gt (int .minExecutors) (int .maxExecutors) -}}
{{- $problems = append $problems (printf "sparkDefaults.dynamicAllocation.minExecutors %d is above maxExecutors %d. Lower the first or raise the second." (int .minExecutors) (int .maxExecutors)) -}}
{{- end -}}
{{- if gt (int .initialExecutors) (int .maxExecutors) -}}
{{- $problems = append $problems (printf "sparkDefaults.dynamicAllocation.initialExecutors %d is above maxExecutors %d. Lower the first or raise the second." (int .initialExecutors) (int .maxExecutors)) -}}
{{- end -}}
{{- if eq $v.gangScheduling.scheduler "kueue" -}}
{{- $problems = append $problems "sparkDefaults.dynamicAllocation.enabled and gangScheduling.scheduler kueue: Kueue admits a job with a fixed number of executors and refuses dynamic allocation. Switch one of them off." -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.gangScheduling.scheduler "kueue") (not $v.gangScheduling.queue) -}}
{{- $problems = append $problems "gangScheduling.scheduler kueue needs gangScheduling.queue: the name of the ClusterQueue behind each job namespace." -}}
{{- end -}}
{{- if and $v.gangScheduling.queue (eq $v.gangScheduling.scheduler "none") -}}
{{- $problems = append $problems (printf "gangScheduling.queue is %q, but gangScheduling.scheduler is none: name the scheduler whose queue it is." $v.gangScheduling.queue) -}}
{{- end -}}
{{- if le (int $v.priorityClasses.driver.value) (int $v.priorityClasses.executor.value) -}}
{{- $problems = append $problems (printf "priorityClasses.driver.value %d is not above executor.value %d: executors would keep drivers waiting that they need. Raise the first." (int $v.priorityClasses.driver.value) (int $v.priorityClasses.executor.value)) -}}
{{- end -}}
{{- if $d.rapids.enabled -}}
{{- $r := $d.rapids -}}
{{- $device := (default dict (get $v.podTemplates $r.podTemplate)).device -}}
{{- if and (hasKey $v.podTemplates $r.podTemplate) (not $device) -}}
{{- $problems = append $problems (printf "sparkDefaults.rapids.enabled: executors would get no GPU, because podTemplates.%s has no device. Give it one, or name another template in rapids.podTemplate." $r.podTemplate) -}}
{{- end -}}
{{- if $device -}}
{{- if ne (int (default 1 $device.count)) 1 -}}
{{- $problems = append $problems (printf "sparkDefaults.rapids.enabled: podTemplates.%s.device.count is %d, but the accelerator uses one GPU in each executor. Set 1 and take more executors." $r.podTemplate (int $device.count)) -}}
{{- end -}}
{{- range (include "spark-platform.namespaces" $ | fromJsonArray) -}}
{{- if and .quota.enabled (hasKey .quota.gpus $device.resource) (lt (int (get .quota.gpus $device.resource)) 1) -}}
{{- $problems = append $problems (printf "namespace %q: quota.gpus.%s is 0, but sparkDefaults.rapids.enabled gives each executor one. Raise the quota." .name $device.resource) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if lt (include "spark-platform.heap" $r.memoryOverhead | float64) (include "spark-platform.heap" $r.pinnedMemory | float64) -}}
{{- $problems = append $problems (printf "sparkDefaults.rapids.memoryOverhead %s is below pinnedMemory %s, which is part of it: executors would be killed. Raise the first." $r.memoryOverhead $r.pinnedMemory) -}}
{{- end -}}
{{- if gt (int $r.concurrentGpuTasks) (int $r.tasksPerGpu) -}}
{{- $problems = append $problems (printf "sparkDefaults.rapids.concurrentGpuTasks %d is above tasksPerGpu %d: so many tasks never share a GPU. Lower the first or raise the second." (int $r.concurrentGpuTasks) (int $r.tasksPerGpu)) -}}
{{- end -}}
{{- end -}}
{{- if $d.enabled -}}
{{- $overhead := ternary $d.rapids.memoryOverhead "" $d.rapids.enabled -}}
{{- $driver := include "spark-platform.podBytes" (dict "memory" $d.driver.memory "factor" $d.driver.memoryOverheadFactor "overhead" "") | float64 -}}
{{- $executor := include "spark-platform.podBytes" (dict "memory" $d.executor.memory "factor" $d.executor.memoryOverheadFactor "overhead" $overhead) | float64 -}}
{{- range (include "spark-platform.namespaces" $ | fromJsonArray) -}}
{{- if and .quota.enabled .quota.memory (lt (include "spark-platform.number" .quota.memory | float64) (addf $driver $executor)) -}}
{{- $problems = append $problems (printf "namespace %q: quota.memory %s cannot hold a driver and an executor of sparkDefaults (%s and %s of heap, %.0f MiB with their overhead). Raise the quota, or lower sparkDefaults' memory." .name (toString .quota.memory) $d.driver.memory $d.executor.memory (divf (addf $driver $executor) 1048576)) -}}
{{- end -}}
{{- if and .quota.enabled .quota.cpu (lt (include "spark-platform.number" .quota.cpu | float64) (addf (float64 $d.driver.cores) (float64 $d.executor.cores))) -}}
{{- $problems = append $problems (printf "namespace %q: quota.cpu %s cannot hold a driver and an executor of sparkDefaults (%d and %d cores). Raise the quota, or lower sparkDefaults' cores." .name (toString .quota.cpu) (int $d.driver.cores) (int $d.executor.cores)) -}}
{{- end -}}
{{- $most := (default dict .limitRange.max).memory -}}
{{- if and .limitRange.enabled $most (lt (include "spark-platform.number" $most | float64) $executor) -}}
{{- $problems = append $problems (printf "namespace %q: limitRange.max.memory %s is below an executor of sparkDefaults (%s of heap, %.0f MiB with its overhead), which would be refused. Raise it, or lower sparkDefaults.executor.memory." .name (toString $most) $d.executor.memory (divf $executor 1048576)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "spark-platform.storeProblems" -}}
{{- $problems := list -}}
{{- $d := .Values.sparkDefaults -}}
{{- with $d.eventLog -}}
{{- if and .enabled (not .dir) -}}
{{- $problems = append $problems "sparkDefaults.eventLog.enabled needs eventLog.dir: where drivers write and the history server reads, such as s3a://spark/events." -}}
{{- end -}}
{{- if and .enabled (hasPrefix "file:" .dir) -}}
{{- $path := regexReplaceAll "^file:/*" .dir "/" | trimSuffix "/" -}}
{{- if not (or (eq $path .volume.mountPath) (hasPrefix (printf "%s/" .volume.mountPath) $path)) -}}
{{- $problems = append $problems (printf "sparkDefaults.eventLog.dir %s is not below eventLog.volume.mountPath %s, so it would be lost with each pod. Put it there." .dir .volume.mountPath) -}}
{{- end -}}
{{- if gt (len $.Values.jobNamespaces) 1 -}}
{{- $problems = append $problems (printf "sparkDefaults.eventLog.dir %s is on a claim, which lies in one namespace, but there are %d job namespaces. Use a store that all reach, such as s3a://." .dir (len $.Values.jobNamespaces)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $d.iceberg.catalogs -}}
{{- if hasKey $seen .name -}}
{{- $problems = append $problems (printf "sparkDefaults.iceberg.catalogs names %q twice: merge the two entries into one." .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- if and (has .type (list "rest" "hive")) (not .uri) -}}
{{- $problems = append $problems (printf "sparkDefaults.iceberg.catalogs: %q is of type %s and needs a uri." .name .type) -}}
{{- end -}}
{{- if and (has .type (list "hadoop" "glue")) (not .warehouse) -}}
{{- $problems = append $problems (printf "sparkDefaults.iceberg.catalogs: %q is of type %s and needs a warehouse, such as s3a://lake/warehouse." .name .type) -}}
{{- end -}}
{{- if and .credentialSecret (ne .type "rest") -}}
{{- $problems = append $problems (printf "sparkDefaults.iceberg.catalogs: %q has a credentialSecret, which only a catalogue of type rest can read. Use the credentials of its store (sparkDefaults.s3.credentials)." .name) -}}
{{- end -}}
{{- end -}}
{{- if and $d.iceberg.default (not (hasKey $seen $d.iceberg.default)) -}}
{{- $problems = append $problems (printf "sparkDefaults.iceberg.default is %q, which iceberg.catalogs does not have." $d.iceberg.default) -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "spark-platform.serverProblems" -}}
{{- $problems := list -}}
{{- $names := list -}}
{{- range .Values.jobNamespaces -}}{{- $names = append $names .name -}}{{- end -}}
{{- $log := .Values.sparkDefaults.eventLog -}}
{{- with .Values.historyServer -}}
{{- if and .enabled (not $log.enabled) -}}
{{- $problems = append $problems "historyServer.enabled needs sparkDefaults.eventLog.enabled: without event logs there is nothing to show." -}}
{{- end -}}
{{- if and .enabled $log.enabled (hasPrefix "file:" $log.dir) .namespace (ne .namespace (first $names)) -}}
{{- $problems = append $problems (printf "historyServer.namespace is %q, but the claim with the event logs lies in %q. Leave the namespace out." .namespace (first $names)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.connect -}}
{{- if .enabled -}}
{{- if and .namespace (not (has .namespace $names)) -}}
{{- $problems = append $problems (printf "connect.namespace is %q, which is no job namespace (%s): it needs their accounts and quota." .namespace (join ", " $names)) -}}
{{- end -}}
{{- if gt (int .executors.min) (int .executors.max) -}}
{{- $problems = append $problems (printf "connect.executors.min %d is above executors.max %d. Lower the first or raise the second." (int .executors.min) (int .executors.max)) -}}
{{- end -}}
{{- if not $.Values.sparkDefaults.dynamicAllocation.shuffleTracking -}}
{{- $problems = append $problems "connect.enabled needs sparkDefaults.dynamicAllocation.shuffleTracking: its executors come and go, and there is no external shuffle service on Kubernetes." -}}
{{- end -}}
{{- $limit := (default dict .resources.limits).memory -}}
{{- $need := include "spark-platform.podBytes" (dict "memory" .memory "factor" 0 "overhead" "") | float64 -}}
{{- if and $limit (lt (include "spark-platform.number" $limit | float64) $need) -}}
{{- $problems = append $problems (printf "connect.resources.limits.memory %s is below connect.memory %s and its overhead (%.0f MiB): the server would be killed. Raise the limit." (toString $limit) .memory (divf $need 1048576)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}
