/* glibc's cnd_timedwait is pthread_cond_timedwait by another name, which libfaketime does not know: without this a thread of
   librdkafka would wait for a faked time of day by the true clock. */
#include <errno.h>
#include <pthread.h>
#include <threads.h>
#include <time.h>

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    int waited = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return waited == 0 ? thrd_success : waited == ETIMEDOUT ? thrd_timedout : thrd_error;
}
