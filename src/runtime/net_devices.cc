#include "net_devices.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>

#include "coracle/base/json.h"
#include "coracle/sys/namespaces.h"

namespace coracle::runtime {
namespace {

// Those that whoever set the address chose; the others are the kernel's own.
constexpr std::uint32_t kChosenFlags =
    IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;

bool IsGlobal(const sys::LinkAddress& address) { return address.scope == RT_SCOPE_UNIVERSE; }

const sys::Link* FindLink(const std::vector<sys::Link>& links, const std::string& name) {
  const auto found = std::ranges::find(links, name, &sys::Link::name);
  return found == links.end() ? nullptr : &*found;
}

bool HasIndex(const std::vector<sys::Link>& links, int index) {
  return std::ranges::find(links, index, &sys::Link::index) != links.end();
}

// Chosen by us, so that the interface is known whatever name the kernel gives it.
int FreeIndex(const std::vector<sys::Link>& links, int wanted) {
  if (!HasIndex(links, wanted)) return wanted;
  return std::ranges::max(links, {}, &sys::Link::index).index + 1;
}

Status AddAddresses(int route, int index, const std::vector<sys::LinkAddress>& addresses) {
  for (const sys::LinkAddress& address : addresses)
    if (IsGlobal(address)) TRY(sys::AddAddress(route, index, address));
  return {};
}

Result<std::vector<sys::LinkAddress>> PermanentAddresses(int route, int index) {
  std::vector<sys::LinkAddress> addresses = TRY(sys::ReadAddresses(route, index));
  std::erase_if(addresses, [](const auto& each) { return (each.flags & IFA_F_PERMANENT) == 0; });
  for (sys::LinkAddress& each : addresses) each.flags &= kChosenFlags;
  return addresses;
}

Status Move(const NetDevicePlan& plan, int netns_fd, MovedNetDevices& moved) {
  const std::vector<sys::Link> links = TRY(sys::ReadLinks(moved.ours.get()));
  const sys::Link* link = FindLink(links, plan.host_name);
  if (link == nullptr)
    return Error{Code::kNotFound, ENODEV, "no such network device in the runtime's namespace"};
  const std::vector<sys::Link> there = TRY(sys::ReadLinks(moved.theirs.get()));
  // The kernel would move it first, and find out then.
  if (FindLink(there, plan.name) != nullptr)
    return Error{Code::kInvalidConfig, EEXIST,
                 "the container's network namespace has a device \"" + plan.name + "\" already"};
  const MovedNetDevices::Device device{
      .host_name = plan.host_name,
      .index = FreeIndex(there, link->index),
      .was_up = (link->flags & IFF_UP) != 0,
      .addresses = TRY(PermanentAddresses(moved.ours.get(), link->index))};
  Status status = sys::ChangeLink(
      moved.ours.get(),
      {.index = link->index, .netns_fd = netns_fd, .new_index = device.index, .name = plan.name});
  if (status.has_value() || !HasIndex(TRY(sys::ReadLinks(moved.ours.get())), link->index))
    moved.devices.push_back(device);
  TRY(std::move(status));
  TRY(AddAddresses(moved.theirs.get(), device.index, device.addresses));
  return sys::ChangeLink(moved.theirs.get(), {.index = device.index, .up = true});
}

bool IsSameNamespace(int one, int other) {
  struct stat first {
  }, second{};
  return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 &&
         first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

void Return(const MovedNetDevices& moved, const MovedNetDevices::Device& device) {
  (void)sys::ChangeLink(
      moved.theirs.get(),
      {.index = device.index, .netns_fd = moved.own.get(), .name = device.host_name});
  const auto links = sys::ReadLinks(moved.ours.get());
  const sys::Link* link = links.has_value() ? FindLink(*links, device.host_name) : nullptr;
  if (link == nullptr) return;
  for (const sys::LinkAddress& address : device.addresses)
    (void)sys::AddAddress(moved.ours.get(), link->index, address);
  if (device.was_up) (void)sys::ChangeLink(moved.ours.get(), {.index = link->index, .up = true});
}

}  // namespace

std::vector<NetDevicePlan> PlanNetDevices(const oci::Spec& spec) {
  std::vector<NetDevicePlan> plan;
  for (const auto& [host_name, device] : spec.linux_.net_devices)
    plan.push_back({.pointer = "/linux/netDevices/" + EscapeJsonPointer(host_name),
                    .host_name = host_name,
                    .name = device.name.empty() ? host_name : device.name});
  return plan;
}

Status MoveNetDevices(const std::vector<NetDevicePlan>& plan, int netns_fd,
                      MovedNetDevices& moved) {
  moved.own = TRY(sys::OpenNamespace("/proc/self/ns/net", CLONE_NEWNET));
  if (IsSameNamespace(moved.own.get(), netns_fd))
    return Error{Code::kInvalidConfig, EINVAL,
                 "/linux/netDevices: the container's network namespace is the runtime's own"};
  moved.ours = TRY(sys::OpenRoute());
  moved.theirs = TRY(sys::OpenRouteIn(netns_fd));
  for (const NetDevicePlan& device : plan) {
    Status status = Move(device, netns_fd, moved);
    if (!status.has_value()) return Within(device.pointer, std::move(status).error());
  }
  return {};
}

void ReturnNetDevices(MovedNetDevices& moved) noexcept {
  for (auto device = moved.devices.rbegin(); device != moved.devices.rend(); ++device)
    Return(moved, *device);
  moved = {};
}

}  // namespace coracle::runtime
