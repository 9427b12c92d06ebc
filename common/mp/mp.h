// All of mp in one header, for programs outside: #include <forkecho/mp.h>. Within the project each
// file includes what it uses.
#pragma once

#include "common/mp/barrier.h"
#include "common/mp/codec.h"
#include "common/mp/condition.h"
#include "common/mp/connection.h"
#include "common/mp/cpu_count.h"
#include "common/mp/event.h"
#include "common/mp/joinable_queue.h"
#include "common/mp/lock.h"
#include "common/mp/manager.h"
#include "common/mp/orphans.h"
#include "common/mp/pool.h"
#include "common/mp/process.h"
#include "common/mp/queue.h"
#include "common/mp/raw_shared.h"
#include "common/mp/rlock.h"
#include "common/mp/semaphore.h"
#include "common/mp/shared.h"
#include "common/mp/simple_queue.h"
#include "common/mp/wait.h"
