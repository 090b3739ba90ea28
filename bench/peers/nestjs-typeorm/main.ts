// NestJS on its Fastify adapter, TypeORM and class-validator.
import 'reflect-metadata'
import { Catch, HttpException, Module, ValidationPipe, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { JwtModule } from '@nestjs/jwt'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm'
import type { FastifyReply } from 'fastify'
import { accessTokens, databaseUrl, failure, listenOn, poolSize, ready, sqliteFile, sqlitePragmas } from '../shared.ts'
import { Item, Session, User } from './entities.ts'
import { AuthGuard, ItemsController, ItemsService } from './items.ts'

const entities = [Item, Session, User]

const connection: TypeOrmModuleOptions =
  sqliteFile === undefined
    ? { type: 'postgres', url: databaseUrl, poolSize, entities }
    : {
        type: 'better-sqlite3',
        database: sqliteFile,
        prepareDatabase(database: { pragma(text: string): unknown }) {
          for (const pragma of sqlitePragmas) database.pragma(pragma)
        },
        entities,
      }

const { key, issuer } = accessTokens

@Module({
  imports: [
    TypeOrmModule.forRoot(connection),
    TypeOrmModule.forFeature(entities),
    JwtModule.register({
      secret: key,
      verifyOptions: { algorithms: ['HS256'], issuer, audience: issuer, clockTolerance: 10 },
    }),
  ],
  controllers: [ItemsController],
  providers: [AuthGuard, ItemsService],
})
class AppModule {}

/** Errors in the form of every other peer's. */
@Catch()
class Errors implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost) {
    const status = error instanceof HttpException ? error.getStatus() : 500
    const message = error instanceof HttpException ? error.message : 'Internal error'
    void host.switchToHttp().getResponse<FastifyReply>().code(status).send(failure(status, message))
  }
}

const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: false })
app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true, forbidNonWhitelisted: true }))
app.useGlobalFilters(new Errors())
await app.listen(listenOn.port, listenOn.host)
ready(app.getHttpServer().address())
