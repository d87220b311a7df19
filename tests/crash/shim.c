/* Stands between a program and the C library (LD_PRELOAD) and watches what reaches the disk.
 *
 * It does nothing until the program itself calls one of the functions at the end of this file (tests/crash/shim.py).
 * Then it records every change of a file below one folder, and every flush, in the order in which they were done; and
 * it can make the nth write or flush fail, cut short, or kill the process.
 *
 * A record is a head (struct head), the paths, the bytes written. One lock, of the process and of those forked from it,
 * is held over each call and its record, so that the order of the records is the order of the calls. Changes through a shared writable map cannot be seen: such a
 * map is recorded, and whoever reads the trace refuses it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

struct head {
    char kind; /* Create mkDir Write Truncate Sync Rename Link Unlink rmdir(X) Map marK */
    uint8_t is_synced;
    uint16_t path_bytes, target_bytes, reserved;
    uint64_t inode, offset, length;
};

enum { WRITES, FLUSHES, KINDS };
enum { ACT_KILL = -1, ACT_SHORT = -2 };

/* Of this process, and since it began to watch of all those forked from it. */
static struct shared {
    pthread_mutex_t lock;
    long room;
} own = {PTHREAD_MUTEX_INITIALIZER, -1}, *shared = &own;
static char root[PATH_MAX];
static size_t root_bytes;
static int trace = -1;
static long calls[KINDS], fault_from[KINDS], fault_until[KINDS];
static int fault_action[KINDS];
static long *room = &own.room;

#define REAL(result, name, ...) \
    static result (*real_##name)(__VA_ARGS__); \
    if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

static void must(int is_done, const char *what) {
    if (!is_done) {
        fprintf(stderr, "shim: %s: %s\n", what, strerror(errno));
        abort();
    }
}

static void take(void) {
    if (pthread_mutex_lock(&shared->lock) == EOWNERDEAD) pthread_mutex_consistent(&shared->lock);
}

static void give(void) { pthread_mutex_unlock(&shared->lock); }

static int is_below(const char *path) {
    return root_bytes && !strncmp(path, root, root_bytes) && (path[root_bytes] == '/' || !path[root_bytes]);
}

static int path_of_descriptor(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return 1;
}

static int absolute(int folder, const char *name, char *path) {
    char parent[PATH_MAX];
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    if (folder == AT_FDCWD ? !getcwd(parent, sizeof parent) : !path_of_descriptor(folder, parent)) return 0;
    return snprintf(path, PATH_MAX, "%s/%s", parent, name) < PATH_MAX;
}

static int watches(int descriptor) {
    char path[PATH_MAX];
    int before = errno;
    int answer = root_bytes && path_of_descriptor(descriptor, path) && is_below(path);
    errno = before;
    return answer;
}

static uint64_t inode_of(int descriptor) {
    struct stat status;
    must(!fstat(descriptor, &status), "fstat");
    return status.st_ino;
}

static void put(const void *bytes, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    for (ssize_t done; size; bytes = (const char *)bytes + done, size -= done)
        must((done = real_write(trace, bytes, size)) > 0, "the trace cannot be written");
}

static void record(char kind, int is_synced, uint64_t inode, uint64_t offset, uint64_t length, const char *path,
                   const char *target) {
    struct head head = {kind, is_synced, strlen(path), strlen(target), 0, inode, offset, length};
    if (trace < 0) return;
    int before = errno;
    put(&head, sizeof head);
    put(path, head.path_bytes);
    put(target, head.target_bytes);
    errno = before;
}

/* Count a call; return what shall become of it: 0, an errno, or an ACT_. The lock is held. */
static int fate(int kind) {
    long number = ++calls[kind];
    if (number < fault_from[kind] || number >= fault_until[kind]) return 0;
    if (fault_action[kind] == ACT_KILL) kill(getpid(), SIGKILL), pause();
    return fault_action[kind];
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static size_t size_of(const struct iovec *parts, int count) {
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    return size;
}

/* All writes come here. An offset of -1 is the descriptor's own. */
static ssize_t write_watched(int descriptor, const struct iovec *parts, int count, off_t offset) {
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    REAL(ssize_t, writev, int, const struct iovec *, int);
    struct stat status;
    struct iovec half;
    take();
    int flags = fcntl(descriptor, F_GETFL);
    must(!fstat(descriptor, &status), "fstat");
    off_t start = offset >= 0 ? offset : flags & O_APPEND ? status.st_size : lseek(descriptor, 0, SEEK_CUR);
    off_t growth = start + (off_t)size_of(parts, count) - status.st_size;
    int action = fate(WRITES);
    ssize_t done = -1;
    if (action == ACT_SHORT) {
        half = (struct iovec){parts[0].iov_base, (parts[0].iov_len + 1) / 2};
        parts = &half, count = 1;
    }
    if (action > 0) {
        errno = action;
    } else if (*room >= 0 && growth > *room && (*room == 0 || (off_t)parts[0].iov_len < growth - *room)) {
        errno = ENOSPC;
    } else {
        if (*room >= 0 && growth > *room) { /* as a real disk: what fits is written */
            half = (struct iovec){parts[0].iov_base, parts[0].iov_len - (growth - *room)};
            parts = &half, count = 1, growth = *room;
        }
        done = offset >= 0 ? real_pwritev(descriptor, parts, count, offset) : real_writev(descriptor, parts, count);
        if (*room >= 0 && done > 0 && growth > 0) *room -= growth;
    }
    if (done > 0 && trace >= 0) {
        record('W', !!(flags & O_DSYNC), status.st_ino, start, done, "", "");
        int before = errno;
        size_t left = done;
        for (int i = 0; left; i++) {
            size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
            put(parts[i].iov_base, size);
            left -= size;
        }
        errno = before;
    }
    give();
    return done;
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (!watches(descriptor)) return real_write(descriptor, bytes, size);
    return write_watched(descriptor, &(struct iovec){(void *)bytes, size}, 1, -1);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    if (!watches(descriptor)) return real_pwrite(descriptor, bytes, size, offset);
    return write_watched(descriptor, &(struct iovec){(void *)bytes, size}, 1, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off_t offset) {
    return pwrite(descriptor, bytes, size, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    if (!watches(descriptor)) return real_writev(descriptor, parts, count);
    return write_watched(descriptor, parts, count, -1);
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    if (!watches(descriptor)) return real_pwritev(descriptor, parts, count, offset);
    return write_watched(descriptor, parts, count, offset);
}
ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off_t offset) {
    return pwritev(descriptor, parts, count, offset);
}
ssize_t pwritev64v2(int descriptor, const struct iovec *parts, int count, off_t offset, int flags) {
    REAL(ssize_t, pwritev64v2, int, const struct iovec *, int, off_t, int);
    if (!watches(descriptor)) return real_pwritev64v2(descriptor, parts, count, offset, flags);
    return write_watched(descriptor, parts, count, offset);
}

/* Copies inside the kernel would go unseen: refuse them, and programs fall back on reading and writing. */
ssize_t sendfile64(int target, int source, off_t *offset, size_t size) {
    REAL(ssize_t, sendfile64, int, int, off_t *, size_t);
    if (!watches(target)) return real_sendfile64(target, source, offset, size);
    errno = ENOSYS;
    return -1;
}
ssize_t copy_file_range(int source, off_t *from, int target, off_t *to, size_t size, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t, unsigned);
    if (!watches(target)) return real_copy_file_range(source, from, target, to, size, flags);
    errno = ENOSYS;
    return -1;
}

int ftruncate(int descriptor, off_t size) {
    REAL(int, ftruncate, int, off_t);
    if (!watches(descriptor)) return real_ftruncate(descriptor, size);
    struct stat status;
    take();
    must(!fstat(descriptor, &status), "fstat");
    int result = real_ftruncate(descriptor, size);
    if (!result) record('T', 0, inode_of(descriptor), size, 0, "", "");
    if (!result && *room >= 0 && size < status.st_size) *room += status.st_size - size;
    give();
    return result;
}
int ftruncate64(int descriptor, off_t size) { return ftruncate(descriptor, size); }

/* Room without content, of which nobody relies on the length: not recorded. */
int posix_fallocate(int descriptor, off_t offset, off_t size) {
    REAL(int, posix_fallocate, int, off_t, off_t);
    if (!watches(descriptor)) return real_posix_fallocate(descriptor, offset, size);
    struct stat status;
    take();
    must(!fstat(descriptor, &status), "fstat");
    off_t growth = offset + size > status.st_size ? offset + size - status.st_size : 0;
    int result = *room >= 0 && growth > *room ? ENOSPC : real_posix_fallocate(descriptor, offset, size);
    if (!result && *room >= 0) *room -= growth;
    give();
    return result;
}
int posix_fallocate64(int descriptor, off_t offset, off_t size) { return posix_fallocate(descriptor, offset, size); }

void *mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset) {
    REAL(void *, mmap, void *, size_t, int, int, int, off_t);
    void *result = real_mmap(address, size, protection, flags, descriptor, offset);
    int is_writable_and_shared = protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE;
    if (result != MAP_FAILED && descriptor >= 0 && is_writable_and_shared && watches(descriptor)) {
        take();
        record('M', 0, inode_of(descriptor), 0, 0, "", "");
        give();
    }
    return result;
}
void *mmap64(void *address, size_t size, int protection, int flags, int descriptor, off_t offset) {
    return mmap(address, size, protection, flags, descriptor, offset);
}

int statvfs(const char *path, struct statvfs *status) {
    REAL(int, statvfs, const char *, struct statvfs *);
    int result = real_statvfs(path, status);
    if (!result && *room >= 0 && is_below(path)) status->f_bavail = status->f_bfree = *room / status->f_frsize;
    return result;
}
int statvfs64(const char *path, struct statvfs64 *status) { return statvfs(path, (struct statvfs *)status); }

/* --- flushing ----------------------------------------------------------------------------------------------------- */

static int flush_watched(int descriptor, int (*real)(int)) {
    take();
    int action = fate(FLUSHES);
    int result = -1;
    if (action > 0) errno = action;
    else if (!(result = real(descriptor))) record('S', 0, inode_of(descriptor), 0, 0, "", "");
    give();
    return result;
}

int fsync(int descriptor) {
    REAL(int, fsync, int);
    return watches(descriptor) ? flush_watched(descriptor, real_fsync) : real_fsync(descriptor);
}

int fdatasync(int descriptor) {
    REAL(int, fdatasync, int);
    return watches(descriptor) ? flush_watched(descriptor, real_fdatasync) : real_fdatasync(descriptor);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

int openat(int folder, const char *name, int flags, ...) {
    REAL(int, openat, int, const char *, int, ...);
    char path[PATH_MAX];
    struct stat status;
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!root_bytes || !(flags & (O_CREAT | O_TRUNC)) || !absolute(folder, name, path) || !is_below(path))
        return real_openat(folder, name, flags, mode);
    take();
    int is_new = lstat(path, &status) != 0;
    int descriptor = real_openat(folder, name, flags, mode);
    if (descriptor >= 0 && is_new) record('C', 0, inode_of(descriptor), 0, 0, path, "");
    else if (descriptor >= 0 && flags & O_TRUNC) record('T', 0, inode_of(descriptor), 0, 0, "", "");
    give();
    return descriptor;
}
int openat64(int folder, const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat(folder, name, flags, mode);
}
int open(const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return openat(AT_FDCWD, name, flags, mode);
}

int mkdirat(int folder, const char *name, mode_t mode) {
    REAL(int, mkdirat, int, const char *, mode_t);
    char path[PATH_MAX];
    struct stat status;
    take();
    int result = real_mkdirat(folder, name, mode);
    if (!result && absolute(folder, name, path) && is_below(path)) {
        must(!lstat(path, &status), "lstat");
        record('D', 0, status.st_ino, 0, 0, path, "");
    }
    give();
    return result;
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlinkat(int folder, const char *name, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    char path[PATH_MAX];
    take();
    int result = real_unlinkat(folder, name, flags);
    if (!result && absolute(folder, name, path) && is_below(path))
        record(flags & AT_REMOVEDIR ? 'X' : 'U', 0, 0, 0, 0, path, "");
    give();
    return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int renameat(int folder, const char *name, int new_folder, const char *new_name) {
    REAL(int, renameat, int, const char *, int, const char *);
    char path[PATH_MAX], target[PATH_MAX];
    take();
    int result = real_renameat(folder, name, new_folder, new_name);
    if (!result && absolute(folder, name, path) && absolute(new_folder, new_name, target) && is_below(target))
        record('R', 0, 0, 0, 0, path, target);
    give();
    return result;
}
int rename(const char *name, const char *new_name) { return renameat(AT_FDCWD, name, AT_FDCWD, new_name); }

int linkat(int folder, const char *name, int new_folder, const char *new_name, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    char path[PATH_MAX], target[PATH_MAX];
    take();
    int result = real_linkat(folder, name, new_folder, new_name, flags);
    if (!result && absolute(folder, name, path) && absolute(new_folder, new_name, target) && is_below(target))
        record('L', 0, 0, 0, 0, path, target);
    give();
    return result;
}
int link(const char *name, const char *new_name) { return linkat(AT_FDCWD, name, AT_FDCWD, new_name, 0); }

/* --- what the program under test calls ---------------------------------------------------------------------------- */

void shim_watch(const char *folder, const char *trace_path) {
    REAL(int, openat, int, const char *, int, ...);
    pthread_mutexattr_t kind;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "mmap");
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->lock, &kind);
    take();
    room = &shared->room;
    *room = -1;
    root_bytes = snprintf(root, sizeof root, "%s", folder);
    if (trace_path[0]) {
        trace = real_openat(AT_FDCWD, trace_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        must(trace >= 0, "the trace cannot be opened");
    }
    give();
}

void shim_mark(const char *text, size_t size) {
    take();
    record('K', 0, 0, 0, size, "", "");
    put(text, size);
    give();
}

/* Calls [from, until) of a kind, counted from now and from 1, meet the action: an errno or an ACT_. */
void shim_fault(int kind, long from, long until, int action) {
    take();
    calls[kind] = 0;
    fault_from[kind] = from, fault_until[kind] = until, fault_action[kind] = action;
    give();
}

/* Die where no thread is in the middle of a record. */
void shim_kill(void) {
    take();
    kill(getpid(), SIGKILL), pause();
}

long shim_calls(int kind) { return calls[kind]; }

/* From now on the files may grow by so many bytes together; -1: as they like. */
void shim_room(long bytes) {
    take();
    *room = bytes;
    give();
}
