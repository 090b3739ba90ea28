import type { Logger } from 'pino'
import type { Config } from './core/config.ts'
import { createPages } from './core/pagination.ts'
import { createAccessTokens } from './core/security/access-tokens.ts'
import { createEncryption } from './core/security/encryption.ts'
import { createFingerprint } from './core/security/fingerprints.ts'
import { createPasswords } from './core/security/passwords.ts'
import { createRefreshTokens } from './core/security/refresh-tokens.ts'
import type { Database } from './db/database.ts'
import { createAuditRepository } from './repositories/audit.repository.ts'
import { createIdempotencyKeyRepository } from './repositories/idempotency-key.repository.ts'
import { createItemListRepository } from './repositories/item-list.repository.ts'
import { createItemRepository } from './repositories/item.repository.ts'
import { createSessionRepository } from './repositories/session.repository.ts'
import { createThrottleRepository } from './repositories/throttle.repository.ts'
import { createUserRepository } from './repositories/user.repository.ts'
import { createAccountService } from './services/account.service.ts'
import { createAudit } from './services/audit.service.ts'
import { createAuthService } from './services/auth.service.ts'
import { createHealthService } from './services/health.service.ts'
import { createIdempotencyService } from './services/idempotency.service.ts'
import { createItemService } from './services/item.service.ts'
import { createPurgeService } from './services/purge.service.ts'
import { createSessionService } from './services/session.service.ts'
import { createThrottleService } from './services/throttle.service.ts'
import { createUserService } from './services/user.service.ts'

const hour = 60 * 60
const day = 24 * hour

export type Services = ReturnType<typeof createServices>

/** Builds the services over one database. This is the only place that knows who needs whom. */
export function createServices(config: Config, database: Database, log: Logger) {
  const items = createItemRepository(database)
  const lists = createItemListRepository(database)
  const users = createUserRepository(database)
  const sessions = createSessionRepository(database)
  const throttles = createThrottleRepository(database)
  const events = createAuditRepository(database)
  const keys = createIdempotencyKeyRepository(database)
  const { transaction, single, frame, afterCommit } = database

  const fingerprint = createFingerprint(config)
  const audit = createAudit({
    events,
    throttles,
    fingerprint,
    afterCommit,
    retention: config.AUDIT_RETENTION_DAYS,
    log,
  })
  const throttle = createThrottleService({
    throttles,
    limits: {
      accountFailures: config.LOGIN_MAX_FAILURES,
      addressFailures: config.ADDRESS_MAX_FAILURES,
      registrations: config.REGISTER_MAX_PER_HOUR,
    },
    enabled: config.RATE_LIMIT_ENABLED,
    fingerprint,
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
    sessions: createSessionService({ sessions, accessTokens, transaction, audit }),
    users: createUserService({ users, sessions, throttle, passwords, transaction, audit }),
    accounts: createAccountService({ users, sessions, passwords, transaction, audit }),
    items: createItemService({ items, lists, single, pages: createPages(createEncryption(config.ENCRYPTION_KEY)) }),
    health: createHealthService(database),
    purge: createPurgeService({ sessions, throttles, keys, events, tidy: database.engine.tidy }),
    idempotency: createIdempotencyService({ keys, frame, fingerprint, lifetime: config.IDEMPOTENCY_KEY_HOURS * hour }),
    audit,
  }
}
