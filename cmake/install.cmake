# `ninja programs` builds what people run; `make install` puts it where it finds itself:
# bin/coracle bin/coracled libexec/coracle/{coracle-shim,coracle-image,coracle-systemd}, and the
# name by which containerd looks for our shim as a link.
set(front coracle coracled)
set(behind coracle-shim coracle-image coracle-systemd)
add_custom_target(programs DEPENDS ${front} ${behind})

foreach(program ${front})
  install(PROGRAMS $<TARGET_FILE:${program}> DESTINATION bin)
endforeach()
foreach(program ${behind})
  install(PROGRAMS $<TARGET_FILE:${program}> DESTINATION libexec/coracle)
endforeach()
set(shim_link ${CMAKE_BINARY_DIR}/containerd-shim-coracle-v2)
file(CREATE_LINK ../libexec/coracle/coracle-shim ${shim_link} SYMBOLIC)
install(FILES ${shim_link} DESTINATION bin)
