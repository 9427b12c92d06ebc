# The Debian package, by CPack: both programs, their manual pages, the unit, and the configuration file. It
# depends on nothing, since the programs are linked statically and the unit's user is systemd's to make.
# `./dev package`, or `cpack --preset release` after a build. The folder holds what Debian wants beside them;
# the test is tests/debian_package_test.py.

# Debian's policy wants these compressed so.
function(forkecho_compress source name folder)
  set(compressed ${CMAKE_BINARY_DIR}/debian/${name}.gz)
  add_custom_command(OUTPUT ${compressed} DEPENDS ${source} VERBATIM
    COMMAND sh -c "mkdir -p \"$1\" && gzip -9nc <\"$2\" >\"$3\"" - ${CMAKE_BINARY_DIR}/debian ${source} ${compressed})
  set_property(GLOBAL APPEND PROPERTY FORKECHO_COMPRESSED ${compressed})
  install(FILES ${compressed} DESTINATION ${folder} COMPONENT debian EXCLUDE_FROM_ALL)
endfunction()

set(here ${CMAKE_CURRENT_LIST_DIR})
forkecho_compress(${CMAKE_SOURCE_DIR}/server/forkechod.8 forkechod.8 share/man/man8)
forkecho_compress(${CMAKE_SOURCE_DIR}/client/forkecho.1 forkecho.1 share/man/man1)
forkecho_compress(${here}/changelog changelog share/doc/forkecho)
get_property(compressed GLOBAL PROPERTY FORKECHO_COMPRESSED)
add_custom_target(debian_files ALL DEPENDS ${compressed})

install(TARGETS forkechod forkecho DESTINATION bin COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${here}/copyright DESTINATION share/doc/forkecho COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${here}/lintian-overrides DESTINATION share/lintian/overrides RENAME forkecho
        COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${CMAKE_SOURCE_DIR}/server/forkechod.conf DESTINATION /etc/forkecho
        COMPONENT debian EXCLUDE_FROM_ALL)

# The unit as it is when the prefix is /usr.
block()
  set(CMAKE_INSTALL_FULL_BINDIR /usr/bin)
  set(CMAKE_INSTALL_FULL_SYSCONFDIR /etc)
  set(systemd ${CMAKE_SOURCE_DIR}/server/systemd)
  configure_file(${systemd}/forkechod.service.in ${CMAKE_BINARY_DIR}/debian/forkechod.service @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/debian/forkechod.service ${systemd}/forkechod.socket
          DESTINATION /lib/systemd/system COMPONENT debian EXCLUDE_FROM_ALL)
endblock()

set(CPACK_GENERATOR DEB)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};forkecho;debian;/")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR})
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_CONTACT "The forkecho authors <forkecho@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "uppercase-echo TCP server with a process for every connection")
set(CPACK_PACKAGE_DESCRIPTION
"forkechod answers TCP connections in capitals: with a process for each of
them, from a pool, or from an event loop. Every connection is accounted for,
whatever is killed.
.
forkecho drives such a server, checks every byte of its replies, and tells
what each of the designs costs on this machine.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${here}/conffiles ${here}/postinst ${here}/prerm ${here}/postrm)
include(CPack)
