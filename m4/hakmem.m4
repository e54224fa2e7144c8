# SPDX-License-Identifier: MIT
# Checks that name the Debian package when something is missing.

# HK_NEED_PKG(VARIABLE, MODULE-SPEC, DEBIAN-PACKAGE, WHAT-FOR)
AC_DEFUN([HK_NEED_PKG], [
  PKG_CHECK_MODULES([$1], [$2], [], [
    AC_MSG_ERROR([$2 was not found; it is needed for $4.
  On Debian: apt-get install $3])])
])

# HK_ADD_FLAG(VARIABLE, FLAG): append FLAG to VARIABLE where the C compiler takes it.
AC_DEFUN([HK_ADD_FLAG], [
  AS_VAR_PUSHDEF([hk_cv], [hk_cv_cc_$2])
  AC_CACHE_CHECK([whether $CC accepts $2], [hk_cv], [
    hk_save="$CFLAGS"
    CFLAGS="$CFLAGS -Werror $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([hk_cv], [yes])], [AS_VAR_SET([hk_cv], [no])])
    CFLAGS="$hk_save"])
  AS_VAR_IF([hk_cv], [yes], [$1="$$1 $2"])
  AS_VAR_POPDEF([hk_cv])
])

# HK_CHECK_LAYOUT: HK_LAYOUT holds the flag for libhakmem/layout.ld where the linker can add that to its own script.
AC_DEFUN([HK_CHECK_LAYOUT], [
  AC_CACHE_CHECK([whether the linker takes libhakmem/layout.ld], [hk_cv_ld_layout], [
    hk_save="$LDFLAGS"
    LDFLAGS="$LDFLAGS -shared -Wl,-T,$srcdir/libhakmem/layout.ld"
    AC_LINK_IFELSE([AC_LANG_SOURCE([int one = 1;])], [hk_cv_ld_layout=yes], [hk_cv_ld_layout=no])
    LDFLAGS="$hk_save"])
  AS_VAR_IF([hk_cv_ld_layout], [yes], [HK_LAYOUT='-Wl,-T,$(srcdir)/libhakmem/layout.ld'], [HK_LAYOUT=])
  AC_SUBST([HK_LAYOUT])
])
