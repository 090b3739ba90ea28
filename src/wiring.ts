import type { Logger } from 'pino'
import { createAudit } from './core/audit.ts'
import type { Config } from './core/config.ts'
import { createAccessTokens } from './core/security/access-tokens.ts'
import { createPasswords } from './core/security/passwords.ts'
import { createRefreshTokens } from './core/security/refresh-tokens.ts'
import type { Database } from './db/database.ts'
import { createItemRepository } from './repositories/item.repository.ts'
import { createSessionRepository } from './repositories/session.repository.ts'
import { createThrottleRepository } from './repositories/throttle.repository.ts'
import { createUserRepository } from './repositories/user.repository.ts'
import { createAuthService } from './services/auth.service.ts'
import { createHealthService } from './services/health.service.ts'
import { createItemService } from './services/item.service.ts'
import { createPurge } from './services/purge.service.ts'
import { createSessionService } from './services/session.service.ts'
import { createThrottleService } from './services/throttle.service.ts'
import { createUserService } from './services/user.service.ts'

const day = 24 * 60 * 60

export type Services = ReturnType<typeof createServices>

/** Builds the services over one database. This is the only place that knows who needs whom. */
export function createServices(config: Config, database: Database, log: Logger) {
  const items = createItemRepository(database)
  const users = createUserRepository(database)
  const sessions = createSessionRepository(database)
  const { transaction } = database

  const audit = createAudit(log)
  const throttles = createThrottleRepository(database)
  const throttle = createThrottleService({
    throttles,
    policy: { free: config.LOGIN_MAX_FAILURES, wait: 15, longestWait: 15 * 60 },
    enabled: config.RATE_LIMIT_ENABLED,
    audit,
  })
  const passwords = createPasswords(config)
  const accessTokens = createAccessTokens(config)
  const refreshTokens = createRefreshTokens(config)
  const sessionLimits = {
    lifetime: config.JWT_REFRESH_TOKEN_EXPIRE_DAYS * day,
    idle: config.SESSION_IDLE_DAYS * day,
    leeway: config.REFRESH_REUSE_LEEWAY_SECONDS,
  }

  return {
    auth: createAuthService({
      users,
      sessions,
      throttle,
      passwords,
      accessTokens,
      refreshTokens,
      sessionLimits,
      transaction,
      audit,
    }),
    sessions: createSessionService({ sessions, accessTokens, audit }),
    users: createUserService({ users, sessions, throttle, passwords, transaction, audit }),
    items: createItemService({ items }),
    health: createHealthService(database),
    purge: createPurge({ sessions, throttles }),
  }
}
