#include "coracle/image/image_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"
#include "database.h"
#include "file_lock.h"
#include "image_builder.h"
#include "support/temp_dir.h"

namespace coracle::image {
namespace {

using test::ImageBuilder;
using test::TarBuilder;

std::size_t CountIn(const std::string& directory) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    (void)entry;
    ++count;
  }
  return count;
}

TarBuilder BaseLayer() {
  return TarBuilder()
      .Dir("etc")
      .File("etc/name", "base")
      .File("etc/old", "old")
      .Dir("bin")
      .File("bin/tool", std::string(300000, 't'), 0755);
}

class ImageStoreTest : public ::testing::Test {
 protected:
  // What the tests mount, nobody else sees, and nothing outlives them.
  static void SetUpTestSuite() {
    if (::geteuid() != 0) return;
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners, devices, overlay mounts";
    Open();
  }
  void Open() {
    store_.reset();
    auto store = ImageStore::Open(Root());
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = *std::move(store);
  }
  [[nodiscard]] std::string Root() const { return temp_.path() + "/store"; }
  [[nodiscard]] std::string Layout(const std::string& name) const {
    return temp_.path() + "/" + name;
  }
  // Two layers: the base, and one that changes it.
  std::string Write(const std::string& layout, const std::string& name,
                    const std::string& content = "changed") {
    return ImageBuilder(Layout(layout))
        .Layer(BaseLayer())
        .Layer(TarBuilder().Dir("etc").File("etc/name", content).File("etc/.wh.old", ""))
        .Write(name);
  }
  void Load(const std::string& layout) {
    const auto images = store_->Load(Layout(layout));
    ASSERT_TRUE(images.has_value()) << images.error().message;
  }
  // Nothing is in the store's directories that a record does not name, and nothing is missing.
  void ExpectConsistent(std::size_t images, std::size_t layers) {
    ASSERT_TRUE(store_->CollectGarbage().has_value());
    const auto list = store_->List();
    ASSERT_TRUE(list.has_value()) << list.error().message;
    EXPECT_EQ(list->size(), images);
    EXPECT_EQ(CountIn(Root() + "/l"), layers + 1);  // and l/empty
    EXPECT_EQ(CountIn(Root() + "/ingest"), 0U);
    for (const Image& image : *list) {
      const auto tree = store_->OpenTree(image.id);
      ASSERT_TRUE(tree.has_value()) << tree.error().message;
      EXPECT_TRUE(sys::OpenInRoot(tree->get(), "bin/tool", O_RDONLY).has_value());
      EXPECT_FALSE(sys::OpenInRoot(tree->get(), "etc/old", O_RDONLY).has_value());
    }
  }
  coracle::test::TempDir temp_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(ImageStoreTest, FindsByNameIdAndPrefix) {
  const std::string id = Write("a", "docker.io/library/a:1");
  Load("a");
  const std::string hex = id.substr(7);
  for (const std::string& text : {std::string("a:1"), std::string("docker.io/library/a:1"), id, hex,
                                  hex.substr(0, 12), "sha256:" + hex.substr(0, 5)}) {
    const auto image = store_->Find(text);
    ASSERT_TRUE(image.has_value()) << text << ": " << image.error().message;
    EXPECT_EQ(image->id, id);
  }
  const auto image = store_->Find(id);
  EXPECT_EQ(image->repo_tags, std::vector<std::string>{"docker.io/library/a:1"});
  ASSERT_EQ(image->repo_digests.size(), 1U);
  EXPECT_EQ(store_->Find(image->repo_digests[0])->id, id);
  EXPECT_EQ(image->config.cmd, std::vector<std::string>{"/bin/sh"});
  EXPECT_GT(image->size, 300000U);
  for (const std::string& text : {std::string("library/a"), std::string("a:2"),
                                  std::string("ffffffffffff"), "sha256:" + std::string(64, '0')}) {
    const auto missing = store_->Find(text);
    ASSERT_FALSE(missing.has_value()) << text;
    EXPECT_EQ(missing.error().code, Code::kNotFound) << missing.error().message;
  }
  EXPECT_EQ(store_->Find("not valid!").error().code, Code::kInvalidConfig);
}

TEST_F(ImageStoreTest, AnAmbiguousPrefixIsAnError) {
  for (int i = 0; i < 20; ++i) {  // 20 ids begin with at most 16 different digits
    Write("a", "a:" + std::to_string(i), std::to_string(i));
    Load("a");
  }
  std::size_t ambiguous = 0;
  for (const char digit : std::string("0123456789abcdef")) {
    const auto found = store_->Find("sha256:" + std::string(1, digit));
    ambiguous += !found.has_value() && found.error().code == Code::kInvalidConfig ? 1 : 0;
  }
  EXPECT_GT(ambiguous, 0U);
}

TEST_F(ImageStoreTest, RemovesNamesThenTheImage) {
  const std::string id = Write("a", "docker.io/library/a:1");
  Load("a");
  Write("a", "docker.io/library/a:2");
  Load("a");
  ASSERT_TRUE(store_->Remove("a:1").has_value());
  EXPECT_EQ(store_->Find(id)->repo_tags, std::vector<std::string>{"docker.io/library/a:2"});
  ASSERT_TRUE(store_->Remove("a:2").has_value());
  EXPECT_EQ(store_->Find(id).error().code, Code::kNotFound);
  EXPECT_EQ(store_->Remove("a:2").error().code, Code::kNotFound);
  EXPECT_EQ(CountIn(Root() + "/blobs/sha256"), 0U);
  EXPECT_EQ(CountIn(Root() + "/l"), 1U);
}

TEST_F(ImageStoreTest, RemoveByIdAndAllNames) {
  const std::string id = Write("a", "a:1");
  Load("a");
  ASSERT_TRUE(store_->Remove(id).has_value());
  EXPECT_TRUE(store_->List()->empty());
  Load("a");
  Write("a", "b:1");
  Load("a");
  ASSERT_TRUE(store_->RemoveAllNames("a:1").has_value());
  EXPECT_TRUE(store_->List()->empty());
}

TEST_F(ImageStoreTest, ATagMovesToTheNewImage) {
  const std::string first = Write("a", "a:1", "one");
  Load("a");
  const std::string second = Write("b", "a:1", "two");
  Load("b");
  EXPECT_EQ(store_->Find("a:1")->id, second);
  EXPECT_TRUE(store_->Find(first)->repo_tags.empty());
  EXPECT_EQ(store_->Find(first)->repo_digests.size(), 1U);
}

TEST_F(ImageStoreTest, SharesLayers) {
  Write("a", "a:1", "one");
  Load("a");
  Write("b", "b:1", "two");
  Load("b");
  ExpectConsistent(2, 3);
  ASSERT_TRUE(store_->Remove("a:1").has_value());
  ExpectConsistent(1, 2);
}

TEST_F(ImageStoreTest, SnapshotsCanBeMountedAndKeepTheirLayers) {
  const std::string id = Write("a", "a:1");
  Load("a");
  const auto snapshot = store_->Prepare("container", id);
  ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
  EXPECT_EQ(store_->Prepare("container", id).error().code, Code::kAlreadyExists);
  EXPECT_EQ(store_->Prepare("other", "sha256:x").error().code, Code::kNotFound);
  ASSERT_EQ(snapshot->mounts.size(), 1U);
  std::string data;
  for (const std::string& option : snapshot->mounts[0].options)
    data += (data.empty() ? "" : ",") + option;
  const std::string target = temp_.path() + "/mnt";
  ASSERT_TRUE(MakeDirectories(target).has_value());
  ASSERT_EQ(::mount("overlay", target.c_str(), "overlay", 0, data.c_str()), 0);
  EXPECT_EQ(*ReadFile(target + "/etc/name"), "changed");
  EXPECT_FALSE(std::filesystem::exists(target + "/etc/old"));
  std::ofstream(target + "/written") << std::string(100000, 'x');
  ASSERT_EQ(::umount2(target.c_str(), 0), 0);
  EXPECT_TRUE(std::filesystem::exists(snapshot->upper_dir + "/written"));
  EXPECT_GE(store_->SnapshotUsage("container")->bytes, 100000U);
  EXPECT_GE(store_->SnapshotUsage("container")->inodes, 2U);

  ASSERT_TRUE(store_->Remove("a:1").has_value());
  Open();
  EXPECT_EQ(*store_->SnapshotKeys(), std::vector<std::string>{"container"});
  ASSERT_TRUE(store_->CollectGarbage().has_value());
  EXPECT_EQ(store_->GetSnapshot("container")->mounts[0].options, snapshot->mounts[0].options);
  EXPECT_EQ(CountIn(Root() + "/l"), 3U);
  ASSERT_TRUE(store_->RemoveSnapshot("container").has_value());
  ASSERT_TRUE(store_->RemoveSnapshot("container").has_value());
  EXPECT_EQ(CountIn(Root() + "/l"), 1U);
  EXPECT_EQ(CountIn(Root() + "/s"), 0U);
}

TEST_F(ImageStoreTest, AReadOnlySnapshotOfOneLayerMounts) {
  const std::string id = ImageBuilder(Layout("a")).Layer(BaseLayer()).Write("a:1");
  Load("a");
  const auto snapshot = store_->PrepareReadOnly("view", id);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->upper_dir, "");
  const std::string target = temp_.path() + "/mnt";
  ASSERT_TRUE(MakeDirectories(target).has_value());
  ASSERT_EQ(::mount("overlay", target.c_str(), "overlay", MS_RDONLY,
                    snapshot->mounts[0].options.back().c_str()),
            0);
  EXPECT_EQ(*ReadFile(target + "/etc/name"), "base");
  ASSERT_EQ(::umount2(target.c_str(), 0), 0);
}

TEST_F(ImageStoreTest, ManyLayers) {
  ImageBuilder builder(Layout("a"));
  for (int i = 0; i < 200; ++i)
    builder.Layer(TarBuilder().File("f" + std::to_string(i), std::to_string(i)));
  const std::string id = builder.Write("a:1");
  Load("a");
  const auto tree = store_->OpenTree(id);
  ASSERT_TRUE(tree.has_value()) << tree.error().message;
  EXPECT_TRUE(sys::OpenInRoot(tree->get(), "f0", O_RDONLY).has_value());
  EXPECT_TRUE(sys::OpenInRoot(tree->get(), "f199", O_RDONLY).has_value());
  EXPECT_TRUE(store_->Prepare("c", id).has_value());
}

TEST_F(ImageStoreTest, RefusesALayerThatIsNotWhatTheConfigSays) {
  ImageBuilder(Layout("a")).Layer(BaseLayer(), "sha256:" + std::string(64, '0')).Write("a:1");
  const auto images = store_->Load(Layout("a"));
  ASSERT_FALSE(images.has_value());
  EXPECT_NE(images.error().message.find("uncompressed digest"), std::string::npos);
  EXPECT_EQ(CountIn(Root() + "/blobs/sha256"), 0U);
  ExpectConsistent(0, 0);
}

TEST_F(ImageStoreTest, AFullDiskIsLeftClean) {
  store_.reset();
  ASSERT_EQ(::mount("tmpfs", Root().c_str(), "tmpfs", 0, "size=1000k"), 0);
  Open();
  ImageBuilder(Layout("a")).Layer(BaseLayer()).Write("a:1");
  Load("a");
  for (const std::size_t size : {2'000'000UL, 200'000UL}) {  // no room for the blob; for the layer
    ImageBuilder(Layout("b" + std::to_string(size)))
        .Layer(TarBuilder().File("big", std::string(size, 'b')))
        .Write("b:1");
    const auto images = store_->Load(Layout("b" + std::to_string(size)));
    ASSERT_FALSE(images.has_value());
    EXPECT_EQ(images.error().errnum, ENOSPC) << images.error().message;
    EXPECT_EQ(CountIn(Root() + "/blobs/sha256"), 3U);
    EXPECT_EQ(CountIn(Root() + "/l"), 2U);
    EXPECT_EQ(CountIn(Root() + "/ingest"), 0U);
  }
  EXPECT_EQ(store_->List()->size(), 1U);
  EXPECT_TRUE(store_->Remove("a:1").has_value());
  store_.reset();
  ASSERT_EQ(::umount2(Root().c_str(), 0), 0);
}

TEST_F(ImageStoreTest, RefusesADamagedBlob) {
  Write("a", "a:1");
  for (const auto& entry : std::filesystem::directory_iterator(Layout("a") + "/blobs/sha256")) {
    if (entry.file_size() > 100000) std::filesystem::resize_file(entry.path(), 100000);
  }
  const auto images = store_->Load(Layout("a"));
  ASSERT_FALSE(images.has_value());
  EXPECT_EQ(images.error().errnum, EBADMSG);
  ExpectConsistent(0, 0);
}

TEST_F(ImageStoreTest, SavesWhatItLoads) {
  const std::string id = Write("a", "docker.io/library/a:1");
  Load("a");
  const std::string oci = temp_.path() + "/oci.tar", docker = temp_.path() + "/docker.tar";
  ASSERT_TRUE(store_->Save({"a:1"}, oci, ImageStore::ArchiveFormat::kOci).has_value());
  ASSERT_TRUE(store_->Save({"a:1"}, docker, ImageStore::ArchiveFormat::kDocker).has_value());
  EXPECT_EQ(store_->Save({"b:1"}, oci, ImageStore::ArchiveFormat::kOci).error().code,
            Code::kNotFound);
  for (const std::string& path : {oci, docker}) {
    ASSERT_TRUE(store_->Remove("a:1").has_value());
    const auto images = store_->Load(path);
    ASSERT_TRUE(images.has_value()) << images.error().message;
    ASSERT_EQ(images->size(), 1U);
    EXPECT_EQ(images->front().id, id);
    EXPECT_EQ(images->front().repo_tags, std::vector<std::string>{"docker.io/library/a:1"});
    ExpectConsistent(1, 2);
  }
}

TEST_F(ImageStoreTest, NamesWhatAnArchiveDoesNotName) {
  Write("a", "");
  EXPECT_TRUE(store_->Load(Layout("a"))->front().repo_tags.empty());
  EXPECT_EQ(store_->Load(Layout("a"), "mine")->front().repo_tags,
            std::vector<std::string>{"docker.io/library/mine:latest"});
}

TEST_F(ImageStoreTest, RefusesArchivesOfOtherKindsAndMachines) {
  const auto missing = store_->Load(temp_.path() + "/none");
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  std::ofstream(temp_.path() + "/text") << std::string(2000, 'x');
  EXPECT_EQ(store_->Load(temp_.path() + "/text").error().code, Code::kInvalidConfig);
  std::ofstream(temp_.path() + "/tar") << TarBuilder().File("a", "b").Finish();
  EXPECT_NE(store_->Load(temp_.path() + "/tar").error().message.find("neither an OCI layout"),
            std::string::npos);
  std::ofstream(temp_.path() + "/evil")
      << TarBuilder()
             .Symlink("/etc", "blobs")
             .File("manifest.json", R"([{"Config":"blobs/passwd","Layers":[]}])")
             .Finish();
  EXPECT_EQ(store_->Load(temp_.path() + "/evil").error().code, Code::kNotFound);
  ExpectConsistent(0, 0);
}

TEST_F(ImageStoreTest, SweepsWhatACrashLeaves) {
  Write("a", "a:1");
  Load("a");
  ASSERT_TRUE(MakeDirectories(Root() + "/l/99/x").has_value());
  ASSERT_TRUE(MakeDirectories(Root() + "/l/tmp-1").has_value());
  ASSERT_TRUE(MakeDirectories(Root() + "/s/77/fs").has_value());
  std::ofstream(Root() + "/ingest/sha256-x") << "part";
  std::ofstream(Root() + "/blobs/sha256/" + std::string(64, '0')) << "x";
  ExpectConsistent(1, 2);
  EXPECT_EQ(CountIn(Root() + "/s"), 0U);
  EXPECT_EQ(CountIn(Root() + "/blobs/sha256"), 4U);
}

TEST_F(ImageStoreTest, NothingIsDeletedWhileContentComesIn) {
  Write("a", "a:1", "one");
  Load("a");
  auto adding = TryLockFile(Root() + "/lock", LockMode::kShared);
  ASSERT_TRUE(store_->Remove("a:1").has_value());
  ASSERT_TRUE(store_->CollectGarbage().has_value());
  EXPECT_TRUE(store_->List()->empty());
  EXPECT_EQ(CountIn(Root() + "/blobs/sha256"), 4U);
  EXPECT_EQ(CountIn(Root() + "/l"), 3U);
  adding->reset();
  Write("b", "b:1", "two");
  Load("b");  // whoever is done adding deletes what was left
  EXPECT_EQ(CountIn(Root() + "/blobs/sha256"), 4U);
  EXPECT_EQ(CountIn(Root() + "/l"), 3U);
}

TEST_F(ImageStoreTest, KilledAnywhereItStaysWhole) {
  Write("a", "a:1");
  store_.reset();
  for (int delay_us = 0; delay_us < 60000; delay_us += 1500) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = ImageStore::Open(Root());
      ::_exit(store.has_value() && (*store)->Load(Layout("a")).has_value() ? 0 : 1);
    }
    ::usleep(static_cast<useconds_t>(delay_us));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    Open();
    const auto images = store_->List();
    ASSERT_TRUE(images.has_value()) << images.error().message;
    if (images->empty()) {
      Load("a");  // goes on from whatever is there
    }
    ExpectConsistent(1, 2);
    ASSERT_TRUE(store_->Remove("a:1").has_value());
    ExpectConsistent(0, 0);
    store_.reset();
  }
}

TEST_F(ImageStoreTest, SeveralProcessesAtOnce) {
  Write("a", "a:1");
  for (int round = 0; round < 10; ++round) {
    store_.reset();
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      auto store = ImageStore::Open(Root());
      ::_exit(store.has_value() && (*store)->Load(Layout("a")).has_value() ? 0 : 1);
    }
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
    }
    Open();
    ExpectConsistent(1, 2);
    ASSERT_TRUE(store_->Remove("a:1").has_value());
  }
}

TEST_F(ImageStoreTest, SeveralThreadsLoadAndRemove) {
  for (int i = 0; i < 4; ++i)
    Write("a" + std::to_string(i), "a:" + std::to_string(i), std::to_string(i));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([this, i] {
        for (int round = 0; round < 5; ++round) {
          EXPECT_TRUE(store_->Load(Layout("a" + std::to_string(i))).has_value());
          EXPECT_TRUE(store_->List().has_value());
          const Status removed = store_->Remove("a:" + std::to_string(i));
          EXPECT_TRUE(removed.has_value()) << removed.error().message;
        }
      });
    }
  }
  ExpectConsistent(0, 0);
}

TEST_F(ImageStoreTest, UsageCountsBlobsAndLayers) {
  EXPECT_EQ(store_->StoreUsage()->bytes, 0U);
  Write("a", "a:1");
  Load("a");
  EXPECT_GE(store_->StoreUsage()->bytes, 600000U);
  EXPECT_GE(store_->StoreUsage()->inodes, 8U);
}

TEST_F(ImageStoreTest, PinnedIsRemembered) {
  Write("a", "a:1");
  Load("a");
  EXPECT_FALSE(store_->Find("a:1")->pinned);
  ASSERT_TRUE(store_->SetPinned("a:1", true).has_value());
  Load("a");
  EXPECT_TRUE(store_->Find("a:1")->pinned);
}

TEST_F(ImageStoreTest, IsClosedToOtherUsers) {
  EXPECT_EQ(std::filesystem::status(Root()).permissions(), std::filesystem::perms::owner_all);
  EXPECT_FALSE(ImageStore::Open("relative").has_value());
  EXPECT_FALSE(ImageStore::Open(temp_.path() + "/a:b").has_value());
}

TEST_F(ImageStoreTest, RefusesAStoreOfTheFuture) {
  store_.reset();
  {
    auto database = Database::Open(Root() + "/metadata.db");
    ASSERT_TRUE((*database)->Execute("PRAGMA user_version=9").has_value());
  }
  const auto store = ImageStore::Open(Root());
  ASSERT_FALSE(store.has_value());
  EXPECT_NE(store.error().message.find("schema version 9"), std::string::npos);
}

}  // namespace
}  // namespace coracle::image
