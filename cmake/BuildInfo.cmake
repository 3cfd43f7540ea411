# What the programs say of their sources, from the first of these that knows:
#   cmake/source-commit, which `git archive` fills in: a tarball
#   git, in a clone
#   SOURCE_DATE_EPOCH, or else the time of configuring; the commit is then "unknown"
# QPCSEAL_BUILD_TIME is a lower bound for the clock (docs/THREAT-MODEL.md): the time of the commit, so that equal sources
# give equal programs. QPCSEAL_COMMIT is what --version names, with "-dirty" where a clone differed when it was configured.
file(READ "${PROJECT_SOURCE_DIR}/cmake/source-commit" archived)
if(archived MATCHES "^([0-9a-f]+) ([0-9]+)")
  string(SUBSTRING "${CMAKE_MATCH_1}" 0 12 QPCSEAL_COMMIT)
  set(QPCSEAL_BUILD_TIME "${CMAKE_MATCH_2}")
elseif(EXISTS "${PROJECT_SOURCE_DIR}/.git")  # not a folder in somebody else's repository
  execute_process(COMMAND git describe --always --dirty --exclude=* --abbrev=12 WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
                  OUTPUT_VARIABLE QPCSEAL_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND git log -1 --format=%ct WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
                  OUTPUT_VARIABLE QPCSEAL_BUILD_TIME OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(QPCSEAL_BUILD_TIME "$ENV{SOURCE_DATE_EPOCH}")
endif()
if(NOT QPCSEAL_BUILD_TIME MATCHES "^[0-9]+$")
  string(TIMESTAMP QPCSEAL_BUILD_TIME "%s" UTC)
endif()
if(NOT QPCSEAL_COMMIT MATCHES "^[0-9a-f]+(-dirty)?$")
  set(QPCSEAL_COMMIT "unknown")
endif()
