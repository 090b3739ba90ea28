/**
 * Who may do what: the status that each caller gets for a valid request. Every operation has a line under its
 * `operationId`, and may have more, told apart in brackets; the test beside this calls them all.
 *
 * The owner is whose item or session the call is about. An item of nobody has none: there the owner is one more
 * user. Where a call is about one's own account, everyone is the owner. `refresh` and `logout` are sent the owner's
 * refresh token, which speaks for itself, whoever holds it.
 */
export const permissionMatrix = `
operation                anonymous     other         owner         moderator     admin         super_admin

register                 201           201           201           201           201           201
login                    200           200           200           200           200           200
refresh                  200           200           200           200           200           200
logout                   200           200           200           200           200           200
logoutAll                401           200           200           200           200           200
listSessions             401           200           200           200           200           200
revokeSession            401           404           200           404           404           404

getProfile               401           200           200           200           200           200
updateProfile            401           200           200           200           200           200
changePassword           401           200           200           200           200           200
deactivateAccount        401           200           200           200           200           200

listItems                200           200           200           200           200           200
searchItems              200           200           200           200           200           200
exportItems              401           200           200           200           200           200
createItem               401           201           201           201           201           201
getItem                  200           200           200           200           200           200
getItem (of nobody)      200           200           200           200           200           200
updateItem               401           403           200           200           200           200
updateItem (of nobody)   401           403           403           200           200           200
deleteItem               401           403           200           200           200           200
deleteItem (of nobody)   401           403           403           200           200           200

health                   200           200           200           200           200           200
live                     200           200           200           200           200           200
ready                    200           200           200           200           200           200
`
