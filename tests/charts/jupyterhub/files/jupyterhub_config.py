"""JupyterHub's configuration for the stand-in: settings.yaml of the ConfigMap `hub`, tokens of the Secret `hub`."""

import os
from pathlib import Path

import yaml

HERE = Path(__file__).parent
SECRETS = HERE / "secret"
settings = yaml.safe_load((HERE / "config" / "settings.yaml").read_text(encoding="utf-8"))
c = get_config()  # noqa: F821 - JupyterHub hands it to its configuration


def secret(name):
    return (SECRETS / name).read_text(encoding="utf-8").strip()


def put(section, **traits):
    """Set what has a value; null in the values is the program's own default."""
    for name, value in traits.items():
        if value is not None:
            setattr(c[section], name, value)


put(
    "JupyterHub",
    spawner_class="kubespawner.KubeSpawner",
    # Overridden by `hub.config`, as in the real chart, where it is the default too.
    authenticator_class="dummy",
    db_url="sqlite:////srv/jupyterhub/jupyterhub.sqlite",
    cookie_secret=bytes.fromhex(secret("hub.config.JupyterHub.cookie_secret")),
    hub_bind_url="http://:8081",
    hub_connect_url="http://hub:8081",
    # Servers go on while the hub restarts.
    cleanup_servers=False,
    concurrent_spawn_limit=settings["spawns"],
    services=[
        {**service, "name": name, "api_token": secret(f"hub.services.{name}.apiToken")}
        for name, service in settings["services"].items()
    ],
    load_roles=[{"name": name, **role} for name, role in settings["roles"].items()],
)
put("ConfigurableHTTPProxy", should_start=False, api_url="http://proxy-api:8001")

volumes = {
    "home": {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
    **(settings["volumes"] or {}),
}
mounts = {"home": {"name": "home", "mountPath": "/home/jovyan"}, **(settings["mounts"] or {})}
put(
    "KubeSpawner",
    namespace=os.environ["POD_NAMESPACE"],
    common_labels={"app": "jupyterhub", "release": settings["release"]},
    image=settings["image"],
    image_pull_secrets=settings["pullSecrets"],
    cmd="jupyterhub-singleuser",
    uid=1000,
    fs_gid=100,
    start_timeout=settings["startTimeout"],
    environment=settings["environment"],
    cpu_guarantee=settings["cpu"].get("guarantee"),
    cpu_limit=settings["cpu"].get("limit"),
    mem_guarantee=settings["memory"].get("guarantee"),
    mem_limit=settings["memory"].get("limit"),
    storage_pvc_ensure=True,
    storage_capacity=settings["capacity"],
    storage_class=settings["storageClass"],
    volumes=volumes,
    volume_mounts=mounts,
    init_containers=settings["initContainers"],
    tolerations=settings["tolerations"],
    priority_class_name=settings["priorityClass"],
    profile_list=settings["profiles"],
)

culler = ["python3", "-m", "jupyterhub_idle_culler", "--url=http://localhost:8081/hub/api"]
culler += [f"--timeout={settings['cull']['timeout']}", f"--cull-every={settings['cull']['every']}"]
c.JupyterHub.services.append({"name": "idle-culler", "command": culler})
c.JupyterHub.load_roles.append(
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    }
)

for section, traits in settings["config"].items():
    put(section, **traits)
