//! Spanish.

use super::{Said, Words};
use crate::RejectionCode;

pub(super) const WORDS: Words = Words {
    try_now: "Probar ahora",
    try_again: "Volver a intentar",
    by_itself: "Esta página vuelve a preguntar por sí sola cada pocos segundos.",
    next: "Próximo intento en {n} s",
    trying: "Intentando…",
    offline: "Esperando su conexión",
    opening: "Abriendo…",
    keeps_trying: "Esta página sigue intentándolo por sí sola.",
    not_yet: "Todavía no. Nuevo intento en {n} segundos.",
    code: "Código",
    session: "Sesión",
    time: "Hora",
    machine: "Máquina",
    owner: "Propietario",
    technical: "Qué ha pasado, en términos técnicos (en inglés)",
};

const TELL_THEM: &str =
    "Los responsables de este sitio pueden arreglarlo. Las líneas de abajo les indican qué buscar.";
const GO_BACK: &str = "Espere un momento, vuelva atrás e inténtelo de nuevo.";
const CHECK_FIRST: &str = "No es seguro que haya llegado lo que envió. Espere un momento, vuelva atrás y compruébelo antes de enviarlo de nuevo.";
const CHECK_THE_LINK: &str =
    "Si ha seguido un enlace o escrito una dirección, compruebe que esté completa.";
const START_ANOTHER: &str = "Para continuar, inicie una nueva.";

pub(super) const TOO_LARGE: Said = Said::ended(
    "Esto no se ha podido enviar",
    "Otro equipo ejecuta esta sesión, y lo que ha enviado es demasiado grande para llevarlo hasta allí, o no indica su tamaño.",
    "Si era un archivo, pruebe con uno más pequeño.",
);

const fn fault(headline: &'static str, sentence: &'static str) -> Said {
    Said::ended(headline, sentence, TELL_THEM)
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn said(code: RejectionCode) -> Said {
    match code {
        RejectionCode::SessionMalformed => Said::ended(
            "No está claro qué hay que abrir",
            "La parte de la petición que debería indicar qué sesión quiere no se puede leer.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionMissing => Said::ended(
            "No se ha elegido nada que abrir",
            "La petición no indica qué sesión quiere.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionUnknown => Said::ended(
            "Esa sesión no existe",
            "Este sitio no conoce ninguna sesión con ese nombre.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionOver => Said::ended(
            "Esta sesión ha terminado",
            "Se cerró, o se acabó el tiempo que tenía. No volverá.",
            START_ANOTHER,
        ),
        RejectionCode::SessionForbidden => Said::ended(
            "Esta sesión no está abierta para usted",
            "Este sitio no ha dejado pasar su petición.",
            "Si cree que debería, pregunte a la persona que le dio acceso.",
        ),
        RejectionCode::SessionUnregistered => Said::passing(
            "No se ha podido iniciar",
            "Lo que ha pedido no se ha podido iniciar en este momento.",
            "Puede dejar esta página abierta: volverá a intentarlo por sí sola.",
            "Vuelva atrás e inténtelo de nuevo.",
        ),
        RejectionCode::SessionStarting => Said::passing(
            "Esta página se está iniciando",
            "Todavía no está lista.",
            "Puede dejar esta página abierta: se abrirá por sí sola en cuanto esté lista.",
            GO_BACK,
        ),
        RejectionCode::SessionUnassigned => Said::passing(
            "Esta página no está en marcha",
            "El equipo que la ejecutaba la ha dejado, y ningún otro se ha hecho cargo de ella.",
            "Puede dejar esta página abierta: comprueba de vez en cuando y se abrirá por sí sola cuando un equipo se haga cargo de ella.",
            GO_BACK,
        ),
        RejectionCode::SessionMoving => Said::passing(
            "Esta página se está trasladando",
            "Otro equipo está a punto de ejecutarla.",
            "Puede dejar esta página abierta: se abrirá por sí sola en unos segundos.",
            GO_BACK,
        ),
        RejectionCode::OwnerLost => Said::passing(
            "Esta página ha dejado de dar señales",
            "Hace un rato que no se sabe nada del equipo que la ejecuta.",
            "Puede dejar esta página abierta: sigue intentándolo y se abrirá por sí sola cuando ese equipo vuelva u otro ocupe su lugar.",
            CHECK_FIRST,
        ),
        RejectionCode::OwnerNeverSeen => Said::passing(
            "Esta página todavía no está en marcha",
            "El equipo que debería ejecutarla no ha arrancado, o nunca se preparó.",
            "Puede dejar esta página abierta: sigue intentándolo y se abrirá por sí sola cuando ese equipo arranque.",
            GO_BACK,
        ),
        RejectionCode::DuplicateIdentity => Said::passing(
            "Esta página no se puede abrir en este momento",
            "Dos equipos dicen que ejecutan esta página, y este ha dejado de hacerlo.",
            "Puede dejar esta página abierta: sigue intentándolo y se abrirá por sí sola.",
            GO_BACK,
        ),
        RejectionCode::ReplayNotHonoured => fault(
            "Esta página está en otro lugar",
            "Otro equipo la ejecuta, y su petición no se ha llevado hasta allí.",
        ),
        RejectionCode::OwnerUnreachable => Said::passing(
            "No se puede llegar a esta página en este momento",
            "No se ha podido contactar con el equipo que la ejecuta.",
            "Puede dejar esta página abierta: sigue intentándolo y se abrirá por sí sola cuando ese equipo responda.",
            CHECK_FIRST,
        ),
        RejectionCode::ReplayLoop => fault(
            "No se ha encontrado el camino a esta página",
            "Su petición ha pasado de un equipo a otro, y ninguno de ellos ejecuta esta página.",
        ),
        RejectionCode::NotReplayable => fault(
            "Esto no se ha podido llevar más allá",
            "Otro equipo ejecuta esta sesión, y su petición no se ha podido llevar hasta allí.",
        ),
        RejectionCode::SessionAbsent => Said::ended(
            "Esta sesión se ha perdido",
            "El equipo que debería ejecutarla ya no la tiene. Esperar no la traerá de vuelta.",
            START_ANOTHER,
        ),
        RejectionCode::DirectoryCorrupt => fault(
            "Esta página no se puede abrir",
            "Lo que consta sobre dónde se ejecuta no se puede usar.",
        ),
        RejectionCode::LookupUnavailable => Said::passing(
            "Un momento, por favor",
            "Este sitio no ha podido averiguar dónde está su página. Eso no dice nada de la página en sí.",
            "Puede dejar esta página abierta: sigue intentándolo y se abrirá por sí sola.",
            GO_BACK,
        ),
    }
}
