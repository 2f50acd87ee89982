# `ninja programs` builds what people run; `make install` puts it where it finds itself:
# bin/coracle bin/coracled libexec/coracle/{coracle-shim,coracle-image}, and the name by which
# containerd looks for our shim as a link.
add_custom_target(programs)
foreach(program coracle coracled coracle-shim coracle-image)
  if(TARGET ${program})
    add_dependencies(programs ${program})
  endif()
endforeach()

set(CORACLE_LIBEXECDIR libexec/coracle)
foreach(program coracle coracled)
  if(TARGET ${program})
    install(PROGRAMS $<TARGET_FILE:${program}> DESTINATION bin)
  endif()
endforeach()
foreach(program coracle-shim coracle-image)
  if(TARGET ${program})
    install(PROGRAMS $<TARGET_FILE:${program}> DESTINATION ${CORACLE_LIBEXECDIR})
  endif()
endforeach()
set(shim_link ${CMAKE_BINARY_DIR}/containerd-shim-coracle-v2)
file(CREATE_LINK ../${CORACLE_LIBEXECDIR}/coracle-shim ${shim_link} SYMBOLIC)
install(FILES ${shim_link} DESTINATION bin)
