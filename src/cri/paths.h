// Where everything of the daemon lies.
//
//   <root>  /var/lib/coracle          0700, survives a reboot
//     lock                            flock(2): one daemon per root
//     coracle.db                      SQLite: sandboxes, containers (facts only)
//     images/                         owned by the image library
//     cni/                            CNI results of attached pods, owned by the net library
//   <state> /run/coracle              0711, gone after a reboot
//     coracle.sock                    0660, the CRI socket
//     runtime/                        states of containers, owned by the runtime library
//     sandboxes/<id>/
//       ns/{net,ipc,uts,pid}          pinned namespaces
//       shm/                          tmpfs, the pod's /dev/shm
//       {hostname,hosts,resolv.conf}  bound into its containers
//       pause/                        bundle of the shared PID namespace's parent
//     containers/<id>/
//       bundle/                       config.json, rootfs/, address, exit.json
//       stdin                         FIFO, where the request wants stdin
//       exec/<id>.{out,err}           FIFOs of a running ExecSync
#pragma once

#include <string>

namespace coracle::cri {

// Everything below is named by our own ids (64 hexadecimal digits), never by a caller's string.
struct SandboxPaths {
  std::string dir;
  [[nodiscard]] std::string Namespaces() const { return dir + "/ns"; }
  [[nodiscard]] std::string NetworkNamespace() const { return dir + "/ns/net"; }
  [[nodiscard]] std::string IpcNamespace() const { return dir + "/ns/ipc"; }
  [[nodiscard]] std::string UtsNamespace() const { return dir + "/ns/uts"; }
  [[nodiscard]] std::string PidNamespace() const { return dir + "/ns/pid"; }
  [[nodiscard]] std::string Shm() const { return dir + "/shm"; }
  [[nodiscard]] std::string Hostname() const { return dir + "/hostname"; }
  [[nodiscard]] std::string Hosts() const { return dir + "/hosts"; }
  [[nodiscard]] std::string ResolvConf() const { return dir + "/resolv.conf"; }
  [[nodiscard]] std::string PauseBundle() const { return dir + "/pause"; }
};

struct ContainerPaths {
  std::string dir;
  [[nodiscard]] std::string Bundle() const { return dir + "/bundle"; }
  [[nodiscard]] std::string Stdin() const { return dir + "/stdin"; }
  [[nodiscard]] std::string Exec() const { return dir + "/exec"; }
};

struct Paths {
  std::string root, state;
  [[nodiscard]] std::string Lock() const { return root + "/lock"; }
  [[nodiscard]] std::string Database() const { return root + "/coracle.db"; }
  [[nodiscard]] std::string Images() const { return root + "/images"; }
  [[nodiscard]] std::string Cni() const { return root + "/cni"; }
  [[nodiscard]] std::string Runtime() const { return state + "/runtime"; }
  [[nodiscard]] std::string Sandboxes() const { return state + "/sandboxes"; }
  [[nodiscard]] std::string Containers() const { return state + "/containers"; }
  [[nodiscard]] SandboxPaths Sandbox(const std::string& id) const {
    return {Sandboxes() + "/" + id};
  }
  [[nodiscard]] ContainerPaths Container(const std::string& id) const {
    return {Containers() + "/" + id};
  }
};

}  // namespace coracle::cri
