/* Preloaded into a process, makes calls on files fail or last, by the rules that stand in $DISK_TROUBLE/<pid>; no file, no
   change. A rule is a line "CALL PART ERRNO MILLISECONDS": CALL is write, sync, reserve or open, PART a part of the path;
   the first rule that fits has the call last so long, and then fail where ERRNO is not 0. A call that fails leaves a line in
   $DISK_TROUBLE/<pid>.hits: its time by the monotonic clock in ns, call and path. How the process ended stands in
   $DISK_TROUBLE/<pid>.exit. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* By the kernel's numbers: what is replaced below must not be called here. */
static int raw_open(const char *path, int flags) { return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0644); }

static int place(char *path, size_t size, const char *suffix) {
  const char *folder = getenv("DISK_TROUBLE");
  return folder && snprintf(path, size, "%s/%d%s", folder, (int)getpid(), suffix) < (int)size;
}

static void leave(const char *suffix, const char *line) {
  char path[512];
  if (!place(path, sizeof path, suffix)) return;
  int file = raw_open(path, O_WRONLY | O_CREAT | O_APPEND);
  if (file < 0) return;
  if (syscall(SYS_write, file, line, strlen(line)) < 0) { /* nobody to tell */ }
  syscall(SYS_close, file);
}

/* Whether the call is to fail; errno is set then. */
static int fails(const char *call, const char *path) {
  char rules_path[512], rules[1024];
  if (!place(rules_path, sizeof rules_path, "")) return 0;
  int before = errno, file = raw_open(rules_path, O_RDONLY);
  if (file < 0) { errno = before; return 0; }
  ssize_t length = syscall(SYS_read, file, rules, sizeof rules - 1);
  syscall(SYS_close, file);
  errno = before;
  if (length <= 0) return 0;
  rules[length] = 0;
  for (char *next = NULL, *line = strtok_r(rules, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
    char rule_call[16], part[256];
    int code, ms;
    if (sscanf(line, "%15s %255s %d %d", rule_call, part, &code, &ms) != 4) continue;
    if (strcmp(rule_call, call) || !strstr(path, part)) continue;
    if (ms) {
      struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
      nanosleep(&time, NULL);
    }
    if (!code) return 0;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char hit[512];
    snprintf(hit, sizeof hit, "%lld %s %s\n", now.tv_sec * 1000000000LL + now.tv_nsec, call, path);
    leave(".hits", hit);
    errno = code;
    return 1;
  }
  errno = before;
  return 0;
}

static int file_fails(const char *call, int file) {
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return fails(call, path);
}

#define REAL(name, type) \
  static __typeof__(type) real; \
  if (!real) real = (__typeof__(type))dlsym(RTLD_NEXT, name)

#define WRITE(name) \
  ssize_t name(int file, const void *bytes, size_t size, off_t at) { \
    REAL(#name, ssize_t (*)(int, const void *, size_t, off_t)); \
    return file_fails("write", file) ? -1 : real(file, bytes, size, at); \
  }
#define SYNC(name) \
  int name(int file) { \
    REAL(#name, int (*)(int)); \
    return file_fails("sync", file) ? -1 : real(file); \
  }
#define RESERVE(name) \
  int name(int file, int mode, off_t at, off_t size) { \
    REAL(#name, int (*)(int, int, off_t, off_t)); \
    return file_fails("reserve", file) ? -1 : real(file, mode, at, size); \
  }
#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(#name, int (*)(const char *, int, ...)); \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = va_arg(rest, mode_t); \
    va_end(rest); \
    if ((flags & O_ACCMODE) != O_RDONLY && fails("open", path)) return -1; \
    return real(path, flags, mode); \
  }

WRITE(pwrite)
WRITE(pwrite64)
SYNC(fdatasync)
SYNC(fsync)
RESERVE(fallocate)
RESERVE(fallocate64)
OPEN(open)
OPEN(open64)

static void ended(int status, void *nothing) {
  char line[32];
  (void)nothing;
  snprintf(line, sizeof line, "%d\n", status);
  leave(".exit", line);
}

__attribute__((constructor)) static void begin(void) { on_exit(ended, NULL); }
