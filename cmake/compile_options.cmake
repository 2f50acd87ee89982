# Warnings are errors; hardening as in docs/ARCHITECTURE.md.
option(CORACLE_WERROR "warnings are errors" ON)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wcast-qual
                    $<$<BOOL:${CORACLE_WERROR}>:-Werror>)

# g++ 12 warns of std::string's own operator+ when it optimises (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)
endif()

if(CORACLE_SANITIZE)
  add_compile_options(-fsanitize=${CORACLE_SANITIZE} -fno-omit-frame-pointer -g
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CORACLE_SANITIZE})
  set(CORACLE_STATIC OFF)
else()
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection
                      -ftrivial-auto-var-init=zero -ffunction-sections -fdata-sections)
  add_compile_definitions($<$<CONFIG:Release>:_FORTIFY_SOURCE=3> _GLIBCXX_ASSERTIONS)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections)
endif()
