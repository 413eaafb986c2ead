//! A Pod's volumes as directories, and where its containers find them.
//!
//! Owns the directories. What a claim holds is kept for all nodes, under its volume's name: which node may have it
//! is the scheduler's to know.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, KeyToPath, PersistentVolumeClaim, Pod, Secret, Volume,
};
use kube::ResourceExt as _;
use kube::api::Api;

use super::sandbox::Mount;
use super::{Site, environment};

/// The directories of a Pod's volumes, by name.
pub(super) struct Volumes(BTreeMap<String, PathBuf>);

impl Volumes {
    /// Prepares them; what is of the Pod alone goes under `dir`.
    pub(super) async fn prepare(
        site: &Site,
        pod: &Pod,
        dir: &Path,
        address: Ipv4Addr,
    ) -> anyhow::Result<Self> {
        let mut all = BTreeMap::new();
        for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            let of_pod = dir.join("volumes").join(&volume.name);
            let found =
                prepare(site, pod, volume, of_pod, address).await.with_context(|| volume.name.clone())?;
            all.insert(volume.name.clone(), found);
        }
        Ok(Self(all))
    }

    /// What a container sees of them; folders come before what is in them.
    pub(super) fn mounts(&self, container: &Container) -> anyhow::Result<Vec<Mount>> {
        let mut asked: Vec<_> = container.volume_mounts.iter().flatten().collect();
        asked.sort_by(|a, b| a.mount_path.cmp(&b.mount_path));
        let mut mounts = Vec::new();
        for mount in asked {
            let volume = self.0.get(&mount.name).with_context(|| format!("no volume {}", mount.name))?;
            ensure!(mount.sub_path_expr.is_none(), "{}: subPathExpr cannot be had here", mount.name);
            let from = volume.join(mount.sub_path.as_deref().unwrap_or_default());
            if !from.exists() {
                std::fs::create_dir_all(&from)?;
            }
            mounts.push(Mount::new(from, &mount.mount_path, mount.read_only != Some(true)));
        }
        Ok(mounts)
    }
}

async fn prepare(
    site: &Site,
    pod: &Pod,
    volume: &Volume,
    of_pod: PathBuf,
    address: Ipv4Addr,
) -> anyhow::Result<PathBuf> {
    let namespace = pod.namespace().unwrap_or_default();
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    if volume.empty_dir.is_some() {
        std::fs::create_dir_all(&of_pod)?;
        return Ok(of_pod);
    } else if let Some(claim) = &volume.persistent_volume_claim {
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(site.client.clone(), &namespace);
        let claim = claims.get(&claim.claim_name).await?;
        let bound = claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound");
        let name = claim.spec.and_then(|spec| spec.volume_name).filter(|_| bound);
        let disk = site.dir.join("disks").join(name.context("its claim is not bound")?);
        std::fs::create_dir_all(&disk)?;
        return Ok(disk);
    } else if let Some(secret) = &volume.secret {
        let name = secret.secret_name.clone().unwrap_or_default();
        let found = Api::<Secret>::namespaced(site.client.clone(), &namespace).get(&name).await?;
        let data = found.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect();
        chosen(&mut files, data, secret.items.as_deref())?;
    } else if let Some(map) = &volume.config_map {
        let found = Api::<ConfigMap>::namespaced(site.client.clone(), &namespace).get(&map.name).await?;
        let data = found.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
        chosen(&mut files, data.collect(), map.items.as_deref())?;
    } else if let Some(downward) = &volume.downward_api {
        for item in downward.items.iter().flatten() {
            let reference = item.field_ref.as_ref().context("only fields of the Pod can be had here")?;
            let value = environment::field(pod, &reference.field_path, address)?;
            files.insert(item.path.clone(), value.into_bytes());
        }
    } else {
        bail!("such a volume cannot be had here");
    }
    std::fs::create_dir_all(&of_pod)?;
    for (path, bytes) in files {
        let path = of_pod.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&of_pod))?;
        std::fs::write(path, bytes)?;
    }
    Ok(of_pod)
}

/// The files that `items` name of what there is; all of it without any.
fn chosen(
    files: &mut BTreeMap<String, Vec<u8>>,
    mut data: BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
) -> anyhow::Result<()> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        files.append(&mut data);
        return Ok(());
    };
    for item in items {
        let bytes = data.get(&item.key).with_context(|| format!("it has no {}", item.key))?;
        files.insert(item.path.clone(), bytes.clone());
    }
    Ok(())
}
