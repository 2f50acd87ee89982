#!/usr/bin/python3
"""The rules must be able to fail: each is shown a text that breaks it, and one that does not."""

import unittest

import cxx
import tidy

LONG = "".join(f"  f({i});\n" for i in range(80))


def found(check):
    return [what for _, what in check]


class Functions(unittest.TestCase):
    def test_measures_free_functions_methods_and_constructors(self):
        text = """namespace a {
struct S {
  S(int a, int b) : a_{a}, b_{b} {
    use();
  }
  int Get() const { return a_; }
  int a_ = 0, b_{1};
};
constexpr Step kTable[] = {
    {"x", "y"},
    {"x", "y"},
};
std::vector<int> Make(std::map<int, int> m, const char* s = "{(") {
  auto f = [](int x) { return x; };
  if (f(1)) {
    return {};
  }
  return {1, 2};
}
}  // namespace a
"""
        functions = [(f.name, f.line, f.length, f.parameters) for f in cxx.functions(text)]
        self.assertEqual(functions, [("S", 3, 3, 2), ("Get", 6, 1, 0), ("Make", 13, 7, 2)])

    def test_long_function_step_and_parameter_list(self):
        body = "void Run() {\n" + LONG + "}\n"
        self.assertIn("82 lines", found(tidy.check_functions("src/net/a.cc", body, set()))[0])
        shorter = "void Run() {\n" + LONG[:45 * 8] + "}\n"
        self.assertEqual([], found(tidy.check_functions("src/net/a.cc", shorter, set())))
        self.assertIn("step Run", found(tidy.check_functions("src/net/a.cc", shorter, {"Run"}))[0])
        five = "void Run(int a, int b, int c, int d, int e) {}\n"
        self.assertIn("5 parameters", found(tidy.check_functions("src/net/a.cc", five, set()))[0])
        inherited = "struct S : T {\n" + five.replace(" {}", " override {}") + "};\n"
        self.assertEqual([], found(tidy.check_functions("src/net/a.cc", inherited, set())))

    def test_step_tables(self):
        table = '{"join-cgroup", "a(2), b(2)", "config.md#x",\n "Since " "this",\n Join, Leave},'
        self.assertEqual(tidy.step_functions(table), {"Join", "Leave"})


class Layering(unittest.TestCase):
    def check(self, name, line):
        return found(tidy.check_layering(name, line + "\n"))

    def test_layers(self):
        self.assertTrue(self.check("src/sys/a.cc", '#include "coracle/oci/spec.h"'))
        self.assertTrue(self.check("include/coracle/net/a.h", '#include "coracle/cri/x.h"'))
        self.assertFalse(self.check("src/runtime/cli/a.cc", '#include "coracle/oci/spec.h"'))

    def test_external_libraries(self):
        self.assertTrue(self.check("src/oci/a.cc", "#include <nlohmann/json.hpp>"))
        self.assertTrue(self.check("src/shim/a.cc", "#include <grpcpp/grpcpp.h>"))
        self.assertTrue(self.check("src/net/a.cc", "#include <surprise.h>"))
        self.assertFalse(self.check("src/cri/a.cc", "#include <grpcpp/grpcpp.h>"))
        self.assertFalse(self.check("src/net/a.cc", "#include <sys/mount.h>"))

    def test_calls_that_disturb_the_daemon(self):
        self.assertTrue(found(tidy.check_calls("src/cri/a.cc", "void F() { ::chdir(p); }")))
        self.assertFalse(found(tidy.check_calls("src/cri/a.cc", "// chdir(p)\n")))


    def test_paths_of_a_root_file_system(self):
        for call in ("::open((plan.rootfs.path + name).c_str(), 0)",
                     "::mkdir((root_path + at).c_str(), 0)",
                     "sys::mount({.target = spec.root->path + at})", "ReadFile(rootfs / link)"):
            text = f"void F() {{ {call}; }}"
            self.assertTrue(found(tidy.check_root_paths("src/runtime/a.cc", text)), call)
        for call in ("sys::OpenRoot(plan.rootfs.path)", "::open(path + rest, 0)",
                     "::mkdir(rootfs.c_str(), 0755)"):
            text = f"void F() {{ {call}; }}"
            self.assertFalse(found(tidy.check_root_paths("src/runtime/a.cc", text)), call)


class Text(unittest.TestCase):
    def test_sizes_and_words(self):
        self.assertTrue(found(tidy.check_text("a.cc", "x\n" * 501)))
        self.assertTrue(found(tidy.check_text("a.cc", "x" * 101)))
        self.assertTrue(found(tidy.check_text("a.cc", "// TO" "DO later")))
        self.assertFalse(found(tidy.check_text("a.cc", "x" * 100 + "\n")))

    def test_headers(self):
        self.assertTrue(found(tidy.check_header("a.h", "#pragma once\n")))
        self.assertFalse(found(tidy.check_header("a.h", "// What.\n#pragma once\n")))
        names = {"src/net/cni.cc", "include/coracle/net/cni.h"}
        self.assertTrue(found(tidy.check_first_include("src/net/cni.cc", "#include <map>", names)))
        good = '#include "coracle/net/cni.h"\n#include <map>'
        self.assertFalse(found(tidy.check_first_include("src/net/cni.cc", good, names)))


if __name__ == "__main__":
    unittest.main()
